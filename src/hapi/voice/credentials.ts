// Keys of voice services: what this server was given, else what the owner has set in the web app, which stands in the home's
// settings.json where the original keeps it (hapi-probed, voice). A key leaves this file only towards its own service: an answer has the
// last letters of it, and an error none.
import { z } from "zod";
import { changeSettingsFile, readSettingsFile, type SettingsFile } from "../home/settings-file.ts";
import type { HapiConfig } from "../settings.ts";

/** As settings.json names them; each with the setting that wins over it. */
const SETTINGS = {
  OPENAI_API_KEY: "hapiOpenaiKey",
  ELEVENLABS_API_KEY: "hapiElevenlabsKey",
  DEEPGRAM_API_KEY: "hapiDeepgramKey",
  GROQ_API_KEY: "hapiGroqKey",
  GEMINI_API_KEY: "hapiGeminiKey",
  DASHSCOPE_API_KEY: "hapiQwenKey",
  TRANSCRIPTION_BASE_URL: "hapiTranscriptionUrl",
  TRANSCRIPTION_MODEL: "hapiTranscriptionModel",
  TRANSCRIPTION_API_KEY: "hapiTranscriptionKey",
} as const satisfies Record<string, keyof HapiConfig>;

export type CredentialName = keyof typeof SETTINGS;
export const CREDENTIAL_SETTINGS = Object.values(SETTINGS);
export type CredentialConfig = Pick<HapiConfig, (typeof SETTINGS)[CredentialName]>;

/** What the original says of names that have two. */
const ALSO: Partial<Readonly<Record<CredentialName, string>>> = {
  GEMINI_API_KEY: "GEMINI_API_KEY (or GOOGLE_API_KEY)",
  DASHSCOPE_API_KEY: "DASHSCOPE_API_KEY (or QWEN_API_KEY)",
};

const MAX_KEY = 1_024;
/** Of a shorter key its last letters would be too much of it. */
const HINTED_LENGTH = 8;
const HIDDEN = "••••";

const key = z.string().trim().max(MAX_KEY).nullable();
const address = z.union([z.literal(""), z.url({ protocol: /^https?$/ })]);

/** Strict: a name that means nothing is a mistake. Null and an empty text take away. */
export const credentialsBody = z
  .strictObject({
    openai: key.optional(),
    elevenlabs: key.optional(),
    deepgram: key.optional(),
    groq: key.optional(),
    geminiLive: key.optional(),
    qwenRealtime: key.optional(),
    openaiCompatible: z
      .object({
        baseUrl: z.string().trim().max(MAX_KEY).pipe(address).nullable().optional(),
        model: key.optional(),
        apiKey: key.optional(),
      })
      .optional(),
  })
  .refine((given) => Object.values(given).some((value) => value !== undefined));

export type CredentialsChange = z.output<typeof credentialsBody>;

/** It was given where the owner cannot change it. */
export class NotEditable extends Error {
  constructor(name: CredentialName) {
    super(`${ALSO[name] ?? name} is set by an environment variable and cannot be changed from Settings`);
  }
}

const stored = z.record(z.string(), z.unknown()).catch({});

export class Credentials {
  #kept: Readonly<Record<string, unknown>>;

  constructor(
    private readonly home: string,
    private readonly config: CredentialConfig,
  ) {
    this.#kept = keptIn(readSettingsFile(home));
  }

  /** Undefined where there is none. */
  value(name: CredentialName): string | undefined {
    return this.#given(name) ?? this.#owners(name);
  }

  /** A key was given for a service whose address was not: nobody gets it. */
  get isKeyWithoutAddress(): boolean {
    return (
      this.config.hapiTranscriptionKey !== undefined && this.#given("TRANSCRIPTION_API_KEY") === undefined
    );
  }

  /** What this server was given. The key of one's own service only beside its address: else the owner of the app would say who gets it. */
  #given(name: CredentialName): string | undefined {
    if (name === "TRANSCRIPTION_API_KEY" && this.config.hapiTranscriptionUrl === undefined) return undefined;
    return this.config[SETTINGS[name]];
  }

  /** Resolves when it is in the file. @throws NotEditable; Error with a sentence when that cannot be written */
  async change(wanted: CredentialsChange): Promise<void> {
    const changes = changesOf(wanted);
    for (const [name] of changes) if (this.#given(name) !== undefined) throw new NotEditable(name);
    const written = await changeSettingsFile(this.home, (file) => {
      const kept: Record<string, unknown> = { ...keptIn(file) };
      const before = originOf(kept.TRANSCRIPTION_BASE_URL);
      for (const [name, value] of changes) {
        if (value === null || value === "") delete kept[name];
        else kept[name] = value;
      }
      const setsKey = changes.some(([name]) => name === "TRANSCRIPTION_API_KEY");
      // A key that nobody may read must not be sent where it was not meant to go either, nor to the first address that comes.
      if (!setsKey && originOf(kept.TRANSCRIPTION_BASE_URL) !== before) delete kept.TRANSCRIPTION_API_KEY;
      // One that is set now is for the address that this server was given, whatever address there was before.
      if (setsKey && this.#given("TRANSCRIPTION_BASE_URL") !== undefined && !this.#isOfItsAddress(kept))
        delete kept.TRANSCRIPTION_BASE_URL;
      return { ...file, providerCredentials: kept };
    });
    this.#kept = keptIn(written);
  }

  /** For the owner's settings. */
  view() {
    const baseUrl = this.value("TRANSCRIPTION_BASE_URL");
    const model = this.value("TRANSCRIPTION_MODEL");
    const compatible = ["TRANSCRIPTION_BASE_URL", "TRANSCRIPTION_MODEL", "TRANSCRIPTION_API_KEY"] as const;
    const sources = compatible.map((name) => this.#source(name));
    return {
      openai: this.#shown("OPENAI_API_KEY"),
      elevenlabs: this.#shown("ELEVENLABS_API_KEY"),
      deepgram: this.#shown("DEEPGRAM_API_KEY"),
      groq: this.#shown("GROQ_API_KEY"),
      openaiCompatible: {
        configured: baseUrl !== undefined && model !== undefined,
        source: sources.includes("env") ? "env" : sources.includes("settings") ? "settings" : "none",
        baseUrl: baseUrl ?? null,
        model: model ?? null,
        baseUrlEditable: this.#source("TRANSCRIPTION_BASE_URL") !== "env",
        modelEditable: this.#source("TRANSCRIPTION_MODEL") !== "env",
        apiKey: this.#shown("TRANSCRIPTION_API_KEY"),
      },
      voiceBackends: {
        elevenlabs: this.#shown("ELEVENLABS_API_KEY"),
        geminiLive: this.#shown("GEMINI_API_KEY"),
        qwenRealtime: this.#shown("DASHSCOPE_API_KEY"),
      },
    };
  }

  #shown(name: CredentialName) {
    const value = this.value(name);
    const source = this.#source(name);
    const hint = value === undefined ? null : hintOf(value);
    return { configured: value !== undefined, source, hint, editable: source !== "env" };
  }

  #source(name: CredentialName): "env" | "settings" | "none" {
    if (this.#given(name) !== undefined) return "env";
    return this.#owners(name) === undefined ? "none" : "settings";
  }

  /** The owner's key of one's own service is for the address beside it; without one, for the address that this server was given. */
  #isOfItsAddress(kept: Readonly<Record<string, unknown>>): boolean {
    const own = originOf(kept.TRANSCRIPTION_BASE_URL);
    const given = originOf(this.#given("TRANSCRIPTION_BASE_URL"));
    return own === undefined ? given !== undefined : given === undefined || given === own;
  }

  #owners(name: CredentialName): string | undefined {
    if (name === "TRANSCRIPTION_API_KEY" && !this.#isOfItsAddress(this.#kept)) return undefined;
    const value = this.#kept[name];
    return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
  }
}

const hintOf = (value: string): string =>
  value.length < HINTED_LENGTH ? HIDDEN : `${HIDDEN}${value.slice(-4)}`;

/** The original takes any text for an address: one that is none is a place of its own. */
const originOf = (address: unknown): string | undefined =>
  typeof address !== "string" || address.trim() === ""
    ? undefined
    : URL.canParse(address)
      ? new URL(address).origin
      : address;

const keptIn = ({ providerCredentials }: SettingsFile): Readonly<Record<string, unknown>> =>
  stored.parse(providerCredentials ?? {});

function changesOf(wanted: CredentialsChange): (readonly [CredentialName, string | null])[] {
  const { openaiCompatible: own = {} } = wanted;
  const all: readonly (readonly [CredentialName, string | null | undefined])[] = [
    ["OPENAI_API_KEY", wanted.openai],
    ["ELEVENLABS_API_KEY", wanted.elevenlabs],
    ["DEEPGRAM_API_KEY", wanted.deepgram],
    ["GROQ_API_KEY", wanted.groq],
    ["GEMINI_API_KEY", wanted.geminiLive],
    ["DASHSCOPE_API_KEY", wanted.qwenRealtime],
    ["TRANSCRIPTION_BASE_URL", own.baseUrl],
    ["TRANSCRIPTION_MODEL", own.model],
    ["TRANSCRIPTION_API_KEY", own.apiKey],
  ];
  return all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}
