// How Gemini and Qwen are spoken to, as far as the hub does itself (hapi-probed, voice): the first message, which decides what the owner's
// key is used for, is ours, and a page may not say it again.
import { z } from "zod";
import { instructions, TOOLS } from "./assistant.ts";
import type { CredentialName } from "./credentials.ts";
import { GEMINI_PATH, QWEN_PATH } from "./services.ts";

export interface Wishes {
  readonly voice: string | undefined;
  readonly language: string | undefined;
}

export interface Dialect {
  readonly path: string;
  readonly name: string;
  readonly credential: CredentialName;
  /** @param base without a query, or with one that is kept */
  address(
    base: string,
    key: string,
  ): { readonly url: string; readonly headers: Readonly<Record<string, string>> };
  opening(wishes: Wishes): object;
  /** Whether this message of the service says that it takes others now. */
  isReady(message: Readonly<Record<string, unknown>>): boolean;
  /** Why a page may not send this; undefined when it may. */
  refusal(message: Readonly<Record<string, unknown>>): string | undefined;
}

const functions = TOOLS.map(({ name, description, parameters }) => ({ name, description, parameters }));

const gemini: Dialect = {
  path: GEMINI_PATH,
  name: "Gemini",
  credential: "GEMINI_API_KEY",
  address: (base, key) => ({ url: withQuery(base, "key", key), headers: {} }),
  opening: ({ voice = "Aoede", language }) => ({
    setup: {
      model: "models/gemini-2.5-flash-native-audio-latest",
      generationConfig: {
        responseModalities: ["AUDIO"],
        speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: voice } } },
      },
      systemInstruction: { parts: [{ text: instructions(language) }] },
      tools: [{ functionDeclarations: functions }],
    },
  }),
  isReady: (message) => "setupComplete" in message,
  refusal: (message) => ("setup" in message ? "Client-provided Gemini setup is not allowed" : undefined),
};

const update = z.object({ session: z.strictObject({ instructions: z.string() }) });

const qwen: Dialect = {
  path: QWEN_PATH,
  name: "DashScope",
  credential: "DASHSCOPE_API_KEY",
  address: (base, key) => ({
    url: withQuery(base, "model", "qwen3.5-omni-flash-realtime"),
    headers: { authorization: `Bearer ${key}` },
  }),
  opening: ({ voice = "Tina", language }) => ({
    type: "session.update",
    session: {
      modalities: ["text", "audio"],
      voice,
      input_audio_format: "pcm",
      output_audio_format: "pcm",
      instructions: instructions(language),
      temperature: 0.7,
      turn_detection: {
        type: "server_vad",
        threshold: 0.5,
        silence_duration_ms: 800,
        prefix_padding_ms: 300,
      },
      tools: functions.map((each) => ({ type: "function", ...each })),
    },
  }),
  isReady: ({ type }) => type === "session.updated",
  refusal: (message) =>
    message.type === "session.update" && !update.safeParse(message).success
      ? "Client session.update may only modify instructions"
      : undefined,
};

export const DIALECTS: readonly Dialect[] = [gemini, qwen];

function withQuery(base: string, name: string, value: string): string {
  const url = new URL(base);
  url.searchParams.set(name, value);
  return url.href;
}
