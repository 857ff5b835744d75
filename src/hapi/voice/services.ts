// The voice services of the contract (hapi-probed, voice): names that clients know, and which keys each needs.
import type { CredentialName } from "./credentials.ts";

export const GEMINI_PATH = "/api/voice/gemini-ws";
export const QWEN_PATH = "/api/voice/qwen-ws";

export interface Backend {
  readonly id: string;
  readonly credential: CredentialName;
}

export const BACKENDS: readonly Backend[] = [
  { id: "elevenlabs", credential: "ELEVENLABS_API_KEY" },
  { id: "gemini-live", credential: "GEMINI_API_KEY" },
  { id: "qwen-realtime", credential: "DASHSCOPE_API_KEY" },
];

export type ProviderId = "openai" | "elevenlabs" | "deepgram" | "groq" | "openai-compatible";

export interface Provider {
  readonly id: ProviderId;
  readonly label: string;
  /** `standard`: a recording is sent here; `realtime`: the page sends to the service itself, with a token that we fetch. */
  readonly modes: readonly ("standard" | "realtime")[];
  readonly needs: readonly CredentialName[];
}

const BOTH = ["standard", "realtime"] as const;

export const PROVIDERS: readonly Provider[] = [
  { id: "openai", label: "OpenAI", modes: BOTH, needs: ["OPENAI_API_KEY"] },
  { id: "elevenlabs", label: "ElevenLabs", modes: BOTH, needs: ["ELEVENLABS_API_KEY"] },
  { id: "deepgram", label: "Deepgram", modes: BOTH, needs: ["DEEPGRAM_API_KEY"] },
  { id: "groq", label: "Groq", modes: ["standard"], needs: ["GROQ_API_KEY"] },
  {
    id: "openai-compatible",
    label: "OpenAI-compatible / local",
    modes: ["standard"],
    needs: ["TRANSCRIPTION_BASE_URL", "TRANSCRIPTION_MODEL"],
  },
];

export const providerOf = (id: unknown): Provider | undefined => PROVIDERS.find((each) => each.id === id);
