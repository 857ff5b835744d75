// One recording to one service, and the text that it heard (hapi-probed, voice). Whatever the service does becomes a text or a
// ProviderFailure, which says what a person may read and holds no key.
import { z } from "zod";
import { callService, type ServiceCall, serviceUrl } from "../../http/service-call.ts";
import type { HapiConfig } from "../settings.ts";
import type { Credentials } from "./credentials.ts";
import type { Provider, ProviderId } from "./services.ts";

export type ProviderConfig = Pick<
  HapiConfig,
  "hapiOpenaiUrl" | "hapiElevenlabsUrl" | "hapiDeepgramUrl" | "hapiGroqUrl"
>;

export interface Recording {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly name: string;
  readonly type: string;
  /** Two or three letters; undefined: the service finds out. */
  readonly language: string | undefined;
}

export interface Transcript {
  readonly text: string;
  readonly language?: string | undefined;
}

export class ProviderFailure extends Error {}

interface Question extends ServiceCall {
  readonly url: string;
}

/** A recording may be long, and the service has to hear all of it. */
const TIMEOUT_MS = 120_000;

const plain = z.object({ text: z.string().default(""), language: z.string().optional().catch(undefined) });
const elevenLabs = z.object({
  text: z.string().default(""),
  language_code: z.string().optional().catch(undefined),
});
const deepgram = z.object({
  results: z.object({
    channels: z
      .array(z.object({ alternatives: z.array(z.object({ transcript: z.string() })).default([]) }))
      .default([]),
  }),
});

/** @throws ProviderFailure */
export async function transcribe(
  provider: Provider,
  recording: Recording,
  parts: { readonly config: ProviderConfig; readonly credentials: Pick<Credentials, "value"> },
  signal: AbortSignal,
): Promise<Transcript> {
  const { id } = provider;
  try {
    const { url, ...call } = questionOf(id, recording, parts);
    const answer = await callService(url, { method: "POST", timeoutMs: TIMEOUT_MS, signal, ...call });
    if (!answer.ok) throw new ProviderFailure(`${id} transcription failed (HTTP ${answer.status})`);
    if (id === "deepgram") {
      const { channels } = answer.json(deepgram).results;
      return { text: channels[0]?.alternatives[0]?.transcript ?? "" };
    }
    if (id === "elevenlabs") {
      const { text, language_code: language } = answer.json(elevenLabs);
      return { text, language };
    }
    return answer.json(plain);
  } catch (error) {
    if (error instanceof ProviderFailure) throw error;
    throw new ProviderFailure(`${id} transcription request failed`);
  }
}

function questionOf(
  id: ProviderId,
  recording: Recording,
  { config, credentials }: Parameters<typeof transcribe>[2],
): Question {
  const { language } = recording;
  const key = (name: Parameters<Credentials["value"]>[0]) => credentials.value(name) ?? "";
  switch (id) {
    case "openai":
      return {
        url: serviceUrl(config.hapiOpenaiUrl, "/v1/audio/transcriptions"),
        headers: { authorization: `Bearer ${key("OPENAI_API_KEY")}` },
        body: form(recording, { model: "gpt-transcribe", "languages[]": language }),
      };
    case "elevenlabs":
      return {
        url: serviceUrl(config.hapiElevenlabsUrl, "/v1/speech-to-text"),
        headers: { "xi-api-key": key("ELEVENLABS_API_KEY") },
        body: form(recording, { model_id: "scribe_v2", language_code: language }),
      };
    case "deepgram":
      return {
        url: serviceUrl(config.hapiDeepgramUrl, "/v1/listen", {
          model: "nova-3",
          smart_format: "true",
          ...(language !== undefined && { language }),
        }),
        headers: { authorization: `Token ${key("DEEPGRAM_API_KEY")}`, "content-type": recording.type },
        body: blobOf(recording),
      };
    case "groq":
      return {
        url: serviceUrl(config.hapiGroqUrl, "/openai/v1/audio/transcriptions"),
        headers: { authorization: `Bearer ${key("GROQ_API_KEY")}` },
        body: form(recording, { model: "whisper-large-v3", language }),
      };
    case "openai-compatible": {
      const own = credentials.value("TRANSCRIPTION_API_KEY");
      return {
        url: serviceUrl(key("TRANSCRIPTION_BASE_URL"), "/audio/transcriptions"),
        headers: own === undefined ? {} : { authorization: `Bearer ${own}` },
        body: form(recording, { model: key("TRANSCRIPTION_MODEL"), language }),
      };
    }
  }
}

const blobOf = ({ bytes, type }: Recording): Blob => new Blob([bytes], { type });

function form(recording: Recording, fields: Readonly<Record<string, string | undefined>>): FormData {
  const data = new FormData();
  data.append("file", blobOf(recording), recording.name);
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) data.append(name, value);
  return data;
}
