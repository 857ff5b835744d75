// Settings of the HAPI protocol alone. `legacy` names the original hub's variables (data contract, section 10). What a home's own
// settings.json says counts where nothing is given here; in-effect.ts puts the two together.
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, list, port, text, url, webSocketUrl, whole } from "../config/values.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";

/** `~/.hapi`, also where no shell reads it. */
const expanded = (folder: string): string =>
  folder === "~" || folder.startsWith("~/") ? join(homedir(), folder.slice(1)) : folder;

export const hapiSettings = {
  hapiEnabled: setting(
    flag().optional(),
    "serve HAPI's CLI and web app under /api, /cli and /socket.io/ (true by default; given in words, or with hapiHome or hapiPort, the server does not start without it)",
  ),
  hapiHome: setting(
    text().transform(expanded).optional(),
    "home of an original hub to take over in place, such as ~/.hapi; without it hapi/ in the data folder",
    // Its CLI goes by the same variable, also where the hub is elsewhere.
    { shared: { variables: ["HAPI_HOME"], onlyWith: "hapiEnabled" } },
  ),
  hapiAccessToken: setting(
    text().optional(),
    "token that lets HAPI's clients in; made on the first start and kept in the home's settings.json when absent",
    { legacy: ["CLI_API_TOKEN"], secret: true },
  ),
  hapiPort: setting(
    z.union([z.literal("none"), port()]).optional(),
    "port that serves HAPI alone, beside the server's own (3006 is where its CLI looks by itself; none for no such port); of a home that is taken over the port in its settings.json, else 3006",
    { legacy: ["HAPI_LISTEN_PORT"] },
  ),
  hapiHost: setting(
    text().optional(),
    "address that hapiPort listens on; by default what the home's settings.json says, else the server's own",
    { legacy: ["HAPI_LISTEN_HOST"] },
  ),
  hapiPublicUrl: setting(
    url().optional(),
    "address of HAPI's web app in links and for pages of it; by default what the home's settings.json says, else publicUrl",
    { legacy: ["HAPI_PUBLIC_URL"] },
  ),
  hapiCorsOrigins: setting(
    list().optional(),
    "origins of web pages that may use HAPI's API and sockets beside its own, comma-separated (* for every one)",
    { legacy: ["CORS_ORIGINS"] },
  ),
  hapiWebDir: setting(
    text().transform(expanded).optional(),
    "folder of HAPI's web app to serve instead of the one that roost hapi web install has put into the data folder",
    { legacy: ["HAPI_WEB_DIR"] },
  ),
  hapiWebPort: setting(
    port().optional(),
    "port that serves HAPI's web app by itself, for when another web app is at the root of the server's own port",
  ),
  hapiTelegramBotToken: setting(
    text().optional(),
    "token of the Telegram bot that logs in Mini Apps and notifies",
    { legacy: ["TELEGRAM_BOT_TOKEN"], secret: true },
  ),
  hapiTelegramNotification: setting(
    flag().optional(),
    "notify users that are bound by Telegram (true by default)",
    {
      legacy: ["TELEGRAM_NOTIFICATION"],
    },
  ),
  hapiVapidSubject: setting(
    z
      .string()
      .regex(/^(mailto:\S+@\S+|https:\/\/\S+)$/, "it must be a mailto: or https: address")
      .default("mailto:admin@hapi.run"),
    "whom push services ask when HAPI's notifications trouble them",
    { legacy: ["VAPID_SUBJECT"] },
  ),
  hapiWebPushInside: setting(
    flag().default(false),
    "let HAPI's web push reach addresses inside the own network, and of plain http: for a push service of one's own",
  ),
  hapiServerchanKey: setting(text().optional(), "SendKey of ServerChan, which notifies the hub's owner", {
    legacy: ["SERVERCHAN_SENDKEY"],
    secret: true,
  }),
  hapiServerchanNotification: setting(flag().optional(), "notify by ServerChan (true by default)", {
    legacy: ["SERVERCHAN_NOTIFICATION"],
  }),
  hapiServerchanBackgroundOnly: setting(
    flag().optional(),
    "notify by ServerChan only while nobody of the namespace looks at the web app (false by default)",
    { legacy: ["SERVERCHAN_BACKGROUND_ONLY"] },
  ),
  hapiServerchanUrl: setting(
    url().optional(),
    "base address of ServerChan; by default the one that the SendKey belongs to",
  ),
  hapiVoiceBackend: setting(
    text().optional(),
    "voice service that the web app takes by itself: elevenlabs, gemini-live or qwen-realtime; the first that has a key by default",
    { legacy: ["VOICE_BACKEND"] },
  ),
  hapiElevenlabsKey: setting(text().optional(), "ElevenLabs API key (HAPI's voice and dictation)", {
    legacy: ["ELEVENLABS_API_KEY"],
    secret: true,
  }),
  hapiElevenlabsAgent: setting(
    text().optional(),
    "id of the ElevenLabs agent for HAPI's voice; one named Hapi Voice Assistant is looked up or made when absent",
    { legacy: ["ELEVENLABS_AGENT_ID"] },
  ),
  hapiElevenlabsUrl: setting(
    url().default("https://api.elevenlabs.io"),
    "base address of ElevenLabs for HAPI",
  ),
  hapiGeminiKey: setting(text().optional(), "Gemini API key (HAPI's voice)", {
    legacy: ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    secret: true,
  }),
  hapiGeminiUrl: setting(
    webSocketUrl().default(
      "wss://generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
    ),
    "address of Gemini's live conversations",
    { legacy: ["GEMINI_LIVE_WS_URL"] },
  ),
  hapiQwenKey: setting(text().optional(), "DashScope API key (HAPI's voice by Qwen)", {
    legacy: ["DASHSCOPE_API_KEY", "QWEN_API_KEY"],
    secret: true,
  }),
  hapiQwenUrl: setting(
    webSocketUrl().default("wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime"),
    "address of Qwen's realtime conversations",
    { legacy: ["QWEN_REALTIME_WS_URL"] },
  ),
  hapiOpenaiKey: setting(text().optional(), "OpenAI API key (HAPI's dictation)", {
    legacy: ["OPENAI_API_KEY"],
    secret: true,
  }),
  hapiOpenaiUrl: setting(url().default("https://api.openai.com"), "base address of OpenAI for HAPI"),
  hapiDeepgramKey: setting(text().optional(), "Deepgram API key (HAPI's dictation)", {
    legacy: ["DEEPGRAM_API_KEY"],
    secret: true,
  }),
  hapiDeepgramUrl: setting(url().default("https://api.deepgram.com"), "base address of Deepgram for HAPI"),
  hapiGroqKey: setting(text().optional(), "Groq API key (HAPI's dictation)", {
    legacy: ["GROQ_API_KEY"],
    secret: true,
  }),
  hapiGroqUrl: setting(url().default("https://api.groq.com"), "base address of Groq for HAPI"),
  hapiTranscriptionUrl: setting(
    url().optional(),
    "base address of a service of one's own that transcribes as OpenAI's does, such as http://localhost:8000/v1 (HAPI's dictation)",
    { legacy: ["TRANSCRIPTION_BASE_URL"] },
  ),
  hapiTranscriptionModel: setting(
    text().optional(),
    "model that the service at hapiTranscriptionUrl is asked for",
    {
      legacy: ["TRANSCRIPTION_MODEL"],
    },
  ),
  hapiTranscriptionKey: setting(
    text().optional(),
    "API key of the service at hapiTranscriptionUrl, where it wants one",
    {
      legacy: ["TRANSCRIPTION_API_KEY"],
      secret: true,
    },
  ),
  hapiTerminalIdleMs: setting(
    whole(1_000, 2 ** 31 - 1).default(900_000),
    "milliseconds after which a terminal that nobody uses is closed",
    { legacy: ["HAPI_TERMINAL_IDLE_TIMEOUT_MS"] },
  ),
  hapiMaxTerminals: setting(
    whole(1, 1_000).default(4),
    "terminals that one web page may have, and one session",
    { legacy: ["HAPI_TERMINAL_MAX_TERMINALS"] },
  ),
  hapiMaxNoteFileBytes: setting(
    whole(0, 2 ** 50).default(4 * 2 ** 30),
    "bytes that the files of notes of one namespace may have (0 for no limit)",
    { live: true },
  ),
  hapiRetentionSessionsDays: setting(
    whole(0, 36_500).default(0),
    "days after which an inactive session that nobody has pinned is deleted with all that belongs to it (0 keeps it)",
    { live: true },
  ),
  hapiRetentionMessagesDays: setting(
    whole(0, 36_500).default(0),
    "days after which the messages of an inactive session that nobody has pinned are deleted (0 keeps them)",
    { live: true },
  ),
  hapiRetentionUsageDays: setting(
    whole(0, 36_500).default(0),
    "days after which what an agent has used is forgotten (0 keeps it)",
    { live: true },
  ),
} as const satisfies Record<string, Setting>;

export type HapiConfig = HouseConfig & Values<typeof hapiSettings>;

const TUNNEL =
  "no tunnel is opened; a reverse proxy or a VPN gives the server an address (docs/reverse-proxy.md)";
const PHONES = "phones are not pushed by the vendor's relay; web push, Telegram and ServerChan notify";

/** Of the original hub, and of no meaning here. */
export const unusedHapiVariables: Readonly<Record<string, string>> = {
  DB_PATH: "the database is hapi.db in the home (hapiHome)",
  HAPI_RELAY_API: TUNNEL,
  HAPI_RELAY_AUTH: TUNNEL,
  HAPI_RELAY_FORCE_TCP: TUNNEL,
  TUNWG_PATH: TUNNEL,
  HAPI_OFFICIAL_WEB_URL: TUNNEL,
  HAPI_ANDROID_PUSH: PHONES,
  HAPI_IOS_PUSH: PHONES,
  HAPI_PUSH_RELAY_URL: PHONES,
  FCM_SERVICE_ACCOUNT_PATH: PHONES,
  APNS_KEY_P8_PATH: PHONES,
  APNS_KEY_ID: PHONES,
  APNS_TEAM_ID: PHONES,
  APNS_BUNDLE_ID: PHONES,
  APNS_ENV: PHONES,
};
