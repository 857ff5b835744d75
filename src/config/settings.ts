// Every setting of Roost, once: its zod type, default, meaning, and the names under which people may give it.
// Flags and ROOST_* names are derived from the key; `legacy` lists the original servers' variables (HTTP contract, section 18).
import { z } from "zod";

export interface Setting<T extends z.ZodType = z.ZodType> {
  /** Parses the raw text of a flag or variable, or a YAML value. */
  readonly schema: T;
  /** One line for a person: what it decides. */
  readonly about: string;
  /** Environment variables of the original servers that mean the same. */
  readonly legacy?: readonly string[];
  /** Never printed, never logged. */
  readonly secret?: boolean;
}

const setting = <T extends z.ZodType>(
  schema: T,
  about: string,
  more: Omit<Setting<T>, "schema" | "about"> = {},
): Setting<T> => ({ schema, about, ...more });

const text = () => z.string().min(1);
/** "true/1/yes/on" and their opposites, as people write them in compose files. */
const flag = () =>
  z.union([
    z.boolean(),
    z
      .string()
      .toLowerCase()
      .pipe(z.enum(["true", "1", "yes", "on", "false", "0", "no", "off", ""]))
      .transform((value) => ["true", "1", "yes", "on"].includes(value)),
  ]);
const port = () => z.coerce.number().int().min(0).max(65_535);
const whole = (minimum: number, maximum: number) => z.coerce.number().int().min(minimum).max(maximum);
const url = () => z.url({ protocol: /^https?$/ });
/** A structured value: JSON text in a flag or variable, the structure itself in YAML. */
const structure = <T extends z.ZodType>(schema: T) =>
  z
    .unknown()
    .transform((value, context) => {
      if (typeof value !== "string") return value;
      try {
        return JSON.parse(value) as unknown;
      } catch {
        context.addIssue({ code: "custom", message: "it is not JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);
/** Comma-separated in a flag or variable. */
const list = () =>
  z.union([z.array(text()), z.string().transform((value) => value.split(",").map((entry) => entry.trim()))]);

/** One topic of JSON documents that the operator declares. */
const declaredTopic = z.strictObject({
  name: text(),
  schema: z.union([z.boolean(), z.record(z.string(), z.unknown())]),
  autoJoin: z.boolean().optional(),
  replayLimit: z.int().min(1).max(10_000).optional(),
  snapshotLimit: z.int().min(1).max(100_000).optional(),
  retention: z.strictObject({ days: z.number().min(0), maxRows: z.int().min(0) }).optional(),
});
export type DeclaredTopic = z.output<typeof declaredTopic>;

export const settings = {
  port: setting(port().default(3005), "TCP port to listen on (0 picks a free one)", { legacy: ["PORT"] }),
  host: setting(text().default("0.0.0.0"), "address to listen on", { legacy: ["HOST"] }),
  dataDir: setting(text().default("./data"), "folder that keeps the database, files and the secret", {
    legacy: ["DATA_DIR"],
  }),
  publicUrl: setting(url().optional(), "address under which clients reach this server from outside", {
    legacy: ["PUBLIC_URL"],
  }),
  masterSecret: setting(
    text().optional(),
    "secret that all tokens derive from; made on the first run when absent",
    { legacy: ["HANDY_MASTER_SECRET"], secret: true },
  ),
  logLevel: setting(
    z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
    "least serious log line that is written",
  ),
  presenceGraceMs: setting(
    whole(30_000, 45_000).default(40_000),
    "milliseconds a machine or session stays active after its last socket was lost",
  ),
  maxBodyBytes: setting(
    whole(1, 2 ** 30).default(100 * 1024 * 1024),
    "largest HTTP request body of an authenticated request, in bytes",
  ),
  maxQueuedBytes: setting(
    whole(64 * 1024, 2 ** 30).default(16 * 1024 * 1024),
    "bytes that may wait for one slow socket before it is closed",
  ),
  minFreeBytes: setting(
    whole(0, 2 ** 40).default(64 * 1024 * 1024),
    "free disk space below which uploads are refused, in bytes",
  ),
  staticDir: setting(text().optional(), "folder of the web app to serve (with an index.html)", {
    legacy: ["HAPPY_STATIC_DIR"],
  }),
  injectHtmlConfig: setting(
    z.string().optional(),
    "JSON that is set as window.__HAPPY_CONFIG__ in index.html",
    {
      legacy: ["HAPPY_INJECT_HTML_CONFIG"],
    },
  ),
  webAppUrl: setting(
    url().default("https://app.happy.engineering"),
    "where a browser is sent after connecting GitHub",
  ),
  expoUrl: setting(url().default("https://exp.host"), "base address of the Expo push service"),
  githubUrl: setting(url().default("https://github.com"), "base address of GitHub's sign-in pages"),
  githubApiUrl: setting(url().default("https://api.github.com"), "base address of GitHub's API"),
  githubClientId: setting(text().optional(), "GitHub OAuth client id", { legacy: ["GITHUB_CLIENT_ID"] }),
  githubClientSecret: setting(text().optional(), "GitHub OAuth client secret", {
    legacy: ["GITHUB_CLIENT_SECRET"],
    secret: true,
  }),
  githubRedirectUrl: setting(text().optional(), "GitHub OAuth redirect address", {
    legacy: ["GITHUB_REDIRECT_URL"],
  }),
  githubAppId: setting(text().optional(), "GitHub App id (webhooks)", { legacy: ["GITHUB_APP_ID"] }),
  githubPrivateKey: setting(text().optional(), "GitHub App private key (webhooks)", {
    legacy: ["GITHUB_PRIVATE_KEY"],
    secret: true,
  }),
  githubWebhookSecret: setting(text().optional(), "GitHub webhook secret", {
    legacy: ["GITHUB_WEBHOOK_SECRET"],
    secret: true,
  }),
  githubRedirectUri: setting(text().optional(), "GitHub App redirect address (webhooks)", {
    legacy: ["GITHUB_REDIRECT_URI"],
  }),
  elevenLabsUrl: setting(url().default("https://api.elevenlabs.io"), "base address of ElevenLabs"),
  elevenLabsApiKey: setting(text().optional(), "ElevenLabs API key (voice)", {
    legacy: ["ELEVENLABS_API_KEY"],
    secret: true,
  }),
  revenueCatUrl: setting(url().default("https://api.revenuecat.com"), "base address of RevenueCat"),
  revenueCatApiKey: setting(text().optional(), "RevenueCat API key (voice)", {
    legacy: ["REVENUECAT_API_KEY"],
    secret: true,
  }),
  clientLogs: setting(
    z.union([z.boolean(), z.string().transform((value) => value !== "")]).default(false),
    "accept debug logs of clients without authentication (any non-empty value switches it on)",
    { legacy: ["DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING"] },
  ),
  clientLogsDir: setting(text().default(".logs"), "folder of the debug logs that clients send"),
  rateLimits: setting(flag().default(true), "limit how often one address may sign in, pair and upload"),
  topicsEnabled: setting(
    flag().optional(),
    "serve durable topics under /api/v1 and /socket.io/ (on by itself when a topic, the JWT secret or the first user is configured)",
  ),
  topics: setting(
    structure(z.array(declaredTopic).default([])),
    'JSON list of further topics of documents, such as [{"name":"nodes","schema":{"type":"object"}}]',
  ),
  jwtSecret: setting(
    text().optional(),
    "secret that signs the logins of the topics API; derived from the master secret when absent",
    { legacy: ["JWT_SECRET"], secret: true },
  ),
  jwtExpireMinutes: setting(
    whole(1, 10_000_000).default(1440),
    "minutes a login of the topics API is valid",
    {
      legacy: ["JWT_EXPIRE_MINUTES"],
    },
  ),
  jwtIssuer: setting(text().default("go_cmdb"), "issuer named in the logins of the topics API", {
    legacy: ["JWT_ISSUER"],
  }),
  adminUsername: setting(text().max(64).optional(), "first user of the topics API, made when there is none", {
    legacy: ["ADMIN_USERNAME"],
  }),
  adminPassword: setting(text().optional(), "password of the first user of the topics API", {
    legacy: ["ADMIN_PASSWORD"],
    secret: true,
  }),
  realtimeEnabled: setting(flag().default(true), "feed topics to sockets at /socket.io/"),
  realtimeLogEvents: setting(flag().default(true), "keep the event log of topics also while realtime is off"),
  realtimeRequireHttpToken: setting(
    flag().default(false),
    "refuse topic sockets whose HTTP requests carry no token, in the query or the Authorization header",
  ),
  realtimeAllowedOrigins: setting(
    list().default(["*"]),
    "origins of web pages that may use the topics API and its sockets, comma-separated",
  ),
  realtimeConnectTimeoutMs: setting(
    whole(100, 600_000).default(10_000),
    "milliseconds a topic socket may stay open without a valid CONNECT",
  ),
  realtimeDisconnectOnExpiry: setting(
    flag().default(true),
    "disconnect a topic socket when its login expires",
  ),
  realtimePollMs: setting(
    whole(100, 600_000).default(5_000),
    "milliseconds until events that could not be announced are tried again",
  ),
  realtimeRetentionIntervalMs: setting(
    whole(1_000, 2 ** 31 - 1).default(3_600_000),
    "milliseconds between clean-ups of the event log of topics",
  ),
  realtimeRetentionDays: setting(
    z.coerce.number().min(0).default(7),
    "days the event log of topics goes back (0 keeps events however old)",
  ),
  realtimeRetentionMaxRows: setting(
    whole(0, 2 ** 40).default(1_000_000),
    "events the event log of topics holds at most (0 for no limit)",
  ),
} satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
export type Config = { readonly [K in SettingName]: z.output<(typeof settings)[K]["schema"]> };

/** `dataDir` -> `--data-dir`. */
export const flagName = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** `dataDir` -> `ROOST_DATA_DIR`. */
export const variableName = (name: string): string =>
  `ROOST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
