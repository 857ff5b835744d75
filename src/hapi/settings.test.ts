// The original hub's variables (data contract, 10; hapi-probed): each does what it did, and what belongs to the vendor's relay is answered
// in the log, without its value.
import { expect, test } from "bun:test";
import { catalogue, parseConfig, readEnvironment } from "../../test/support/config.ts";
import { unusedVariables } from "../config/unused-variables.ts";
import type { HapiConfig } from "./settings.ts";

test.each<[string, string, Partial<HapiConfig>]>([
  ["SERVERCHAN_SENDKEY", "SCT1", { hapiServerchanKey: "SCT1" }],
  ["SERVERCHAN_NOTIFICATION", "false", { hapiServerchanNotification: false }],
  ["SERVERCHAN_BACKGROUND_ONLY", "true", { hapiServerchanBackgroundOnly: true }],
  ["VOICE_BACKEND", "gemini-live", { hapiVoiceBackend: "gemini-live" }],
  ["ELEVENLABS_AGENT_ID", "agent", { hapiElevenlabsAgent: "agent" }],
  ["GEMINI_API_KEY", "a", { hapiGeminiKey: "a" }],
  ["GOOGLE_API_KEY", "a", { hapiGeminiKey: "a" }],
  ["GEMINI_LIVE_WS_URL", "wss://g.example/x", { hapiGeminiUrl: "wss://g.example/x" }],
  ["DASHSCOPE_API_KEY", "b", { hapiQwenKey: "b" }],
  ["QWEN_API_KEY", "b", { hapiQwenKey: "b" }],
  ["QWEN_REALTIME_WS_URL", "ws://q.example", { hapiQwenUrl: "ws://q.example" }],
  ["OPENAI_API_KEY", "c", { hapiOpenaiKey: "c" }],
  ["DEEPGRAM_API_KEY", "d", { hapiDeepgramKey: "d" }],
  ["GROQ_API_KEY", "e", { hapiGroqKey: "e" }],
  [
    "TRANSCRIPTION_BASE_URL",
    "http://localhost:8000/v1",
    { hapiTranscriptionUrl: "http://localhost:8000/v1" },
  ],
  ["TRANSCRIPTION_MODEL", "m", { hapiTranscriptionModel: "m" }],
  ["TRANSCRIPTION_API_KEY", "f", { hapiTranscriptionKey: "f" }],
])("%s=%s", (name, value, expected) => {
  expect(parseConfig(readEnvironment({ [name]: value }))).toEqual({ ...parseConfig({}), ...expected });
  expect(unusedVariables(catalogue, { [name]: value })).toEqual([]);
});

test("the first of two names for a key wins", () => {
  expect(parseConfig(readEnvironment({ GEMINI_API_KEY: "a", GOOGLE_API_KEY: "b" })).hapiGeminiKey).toBe("a");
});

test.each([
  ["HAPI_RELAY_API", "no tunnel is opened"],
  ["HAPI_RELAY_AUTH", "no tunnel is opened"],
  ["HAPI_RELAY_FORCE_TCP", "no tunnel is opened"],
  ["HAPI_OFFICIAL_WEB_URL", "no tunnel is opened"],
  ["TUNWG_PATH", "no tunnel is opened"],
  ["HAPI_ANDROID_PUSH", "phones are not pushed by the vendor's relay"],
  ["HAPI_IOS_PUSH", "phones are not pushed by the vendor's relay"],
  ["HAPI_PUSH_RELAY_URL", "phones are not pushed by the vendor's relay"],
])("%s changes nothing, and one sentence says what there is instead", (name, instead) => {
  expect(parseConfig(readEnvironment({ [name]: "hush" }))).toEqual(parseConfig({}));
  const [sentence, ...more] = unusedVariables(catalogue, { [name]: "hush" });
  expect(more).toEqual([]);
  expect(sentence).toStartWith(`${name} is not used: ${instead}`);
  expect(sentence).not.toContain("hush");
});
