// The ElevenLabs agent that a conversation is with: one that was named, else the account's own of the name that the original knows it
// by, which is made where there is none. Of one account and voice it is looked up once, also by many who ask at the same moment.
import { hash } from "node:crypto";
import type { Logger } from "pino";
import { z } from "zod";
import { accepted, askElevenLabs, type ElevenLabs, ElevenLabsError } from "../../http/eleven-labs.ts";
import { GREETING, instructions, TOOLS } from "./assistant.ts";

const NAME = "Hapi Voice Assistant";
/** Of the account's list; a name behind them is not found, and made again. */
const MAX_PAGES = 10;
/** Accounts and voices that are remembered: the one that came first makes room. */
const MAX_REMEMBERED = 64;
const VOICE = "cgSgspJ2msm6clMCkdW9";

const page = z.object({
  agents: z.array(z.object({ agent_id: z.string(), name: z.string() })),
  has_more: z.boolean().nullish(),
  next_cursor: z.string().nullish(),
});
const made = z.object({ agent_id: z.string().min(1) });

/** What the web app may say otherwise when a conversation begins. */
const OVERRIDES = {
  overrides: {
    conversation_config_override: {
      agent: { language: true, prompt: { prompt: true } },
      tts: {
        voice_id: true,
        stability: true,
        similarity_boost: true,
        style: true,
        speed: true,
        use_speaker_boost: true,
      },
    },
  },
};

export class VoiceAgents {
  /** Neither key nor voice, only what tells them apart. */
  readonly #known = new Map<string, Promise<string>>();

  constructor(private readonly log: Logger) {}

  /** Accounts and voices remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** The id of the account's own agent, with this voice. @throws as `askElevenLabs`, ElevenLabsError */
  own(service: ElevenLabs, voice: string | undefined): Promise<string> {
    return this.#once(ownKey(service, voice), () => this.#findOrMake(service, voice));
  }

  /** ElevenLabs does not know it any more: whoever asks next looks it up again. A newer one stays. */
  async gone(service: ElevenLabs, voice: string | undefined, id: string): Promise<void> {
    const key = keyOf(ownKey(service, voice));
    const known = this.#known.get(key);
    if ((await known?.catch(() => undefined)) === id && this.#known.get(key) === known)
      this.#known.delete(key);
  }

  /** The same id, when the web app may say how it speaks. That it may not is no reason not to talk to it. */
  named(service: ElevenLabs, id: string): Promise<string> {
    return this.#once(["named", service.url, service.apiKey, id], async () => {
      await this.#permitOverrides(service, id);
      return id;
    });
  }

  #once(what: readonly string[], work: () => Promise<string>): Promise<string> {
    const key = keyOf(what);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = work();
    this.#known.set(key, found);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_REMEMBERED) break;
      this.#known.delete(oldest);
    }
    // What failed is tried again by the next who asks.
    found.catch(() => {
      if (this.#known.get(key) === found) this.#known.delete(key);
    });
    return found;
  }

  async #findOrMake(service: ElevenLabs, voice: string | undefined): Promise<string> {
    const name = voice === undefined ? NAME : `${NAME} [voice:${voice}]`;
    const found = await find(service, name);
    if (found === undefined) return await make(service, name, voice);
    await this.#permitOverrides(service, found);
    return found;
  }

  async #permitOverrides(service: ElevenLabs, id: string): Promise<void> {
    try {
      const path = `/v1/convai/agents/${encodeURIComponent(id)}`;
      const answer = await askElevenLabs(
        service,
        path,
        {},
        { method: "PATCH", json: { platform_settings: OVERRIDES } },
      );
      accepted(answer, service);
    } catch (error) {
      const status = error instanceof ElevenLabsError ? error.status : undefined;
      this.log.warn(
        { status },
        "the voice agent's settings could not be opened to the web app; it speaks as it is",
      );
    }
  }
}

const ownKey = (service: ElevenLabs, voice: string | undefined): readonly string[] => [
  "own",
  service.url,
  service.apiKey,
  voice ?? "",
];

const keyOf = (what: readonly string[]): string => hash("sha256", JSON.stringify(what), "base64");

async function find(service: ElevenLabs, name: string): Promise<string | undefined> {
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const query = { page_size: "100", ...(cursor !== undefined && { cursor }) };
    const answer = await askElevenLabs(service, "/v1/convai/agents", query);
    const { agents, has_more: hasMore, next_cursor: next } = accepted(answer, service).json(page);
    const found = agents.find((agent) => agent.name === name);
    if (found !== undefined) return found.agent_id;
    if (hasMore !== true || !next) return undefined;
    cursor = next;
  }
  return undefined;
}

async function make(service: ElevenLabs, name: string, voice: string | undefined): Promise<string> {
  const tools = TOOLS.map(({ name: tool, description, parameters, timeoutSeconds }) => ({
    type: "client",
    name: tool,
    description,
    parameters,
    expects_response: true,
    response_timeout_secs: timeoutSeconds,
  }));
  const json = {
    name,
    conversation_config: {
      agent: {
        first_message: GREETING,
        language: "en",
        prompt: {
          prompt: instructions(undefined),
          llm: "gemini-2.5-flash",
          temperature: 0.7,
          max_tokens: 1_024,
          tools,
        },
      },
      turn: { turn_timeout: 30, silence_end_call_timeout: 600 },
      tts: { voice_id: voice ?? VOICE, model_id: "eleven_flash_v2", speed: 1.1 },
    },
    platform_settings: OVERRIDES,
  };
  const answer = await askElevenLabs(service, "/v1/convai/agents/create", {}, { method: "POST", json });
  if (!answer.ok)
    throw new ElevenLabsError(
      `ElevenLabs answered ${answer.status}`,
      answer.status,
      "Failed to create ElevenLabs agent automatically",
    );
  return answer.json(made).agent_id;
}
