// Every setting of Roost, once: its zod type, default, meaning, and the names under which people may give it.
// Flags and ROOST_* names are derived from the key; `legacy` lists the original servers' variables (HTTP contract, section 18).
import { z } from "zod";
import { boundSettings } from "./bound-settings.ts";
import { declaredTopic } from "./declared-topic.ts";
import { duration } from "./duration.ts";
import { hubKey, hubServerKey, hubSettings } from "./hub-settings.ts";
import { type Setting, setting } from "./setting.ts";
import { addressRanges, flag, list, logLevels, port, structure, text, url, whole } from "./values.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const settings = {
  config: setting(
    text().optional(),
    "configuration file; without it roost.yaml in the data folder, else in the current folder, when there is one",
  ),
  port: setting(port().default(3005), "TCP port to listen on (0 picks a free one)", { legacy: ["PORT"] }),
  host: setting(text().default("0.0.0.0"), "address to listen on", { legacy: ["HOST"] }),
  dataDir: setting(text().default("./data"), "folder that keeps the database, files and the secret", {
    legacy: ["DATA_DIR"],
  }),
  tlsCert: setting(
    text().optional(),
    "PEM file of the certificate and its chain; with it the server speaks HTTPS, and follows the file when it changes",
  ),
  tlsKey: setting(text().optional(), "PEM file of the certificate's private key"),
  trustedProxies: setting(
    addressRanges().prefault("loopback"),
    "addresses of reverse proxies whose X-Forwarded headers are believed: addresses, ranges, loopback, private or none",
  ),
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
    { ...hubKey("log.level"), live: true },
  ),
  logLevels: setting(
    logLevels().prefault(""),
    "other levels for single areas, such as happy=debug,storage=warn",
    { live: true },
  ),
  logFormat: setting(
    z.enum(["auto", "json", "text"]).default("auto"),
    "how log lines look: JSON, text for people, or auto, which is text on a terminal",
    hubKey("log.format"),
  ),
  metricsToken: setting(
    text().optional(),
    "token that opens the figures for Prometheus at /metrics; without it that page does not exist on the main port",
    { secret: true },
  ),
  metricsPort: setting(
    port().optional(),
    "second port for /metrics, /ready and /health (9090 when metrics are switched on without a port)",
    { legacy: ["METRICS_PORT"] },
  ),
  metricsEnabled: setting(
    flag().optional(),
    "true opens the second port for metrics, false closes every page with metrics",
    { legacy: ["METRICS_ENABLED"] },
  ),
  ...boundSettings,
  presenceGraceMs: setting(
    whole(30_000, 45_000).default(40_000),
    "milliseconds a machine or session stays active after its last socket was lost",
  ),
  minFreeBytes: setting(
    whole(0, 2 ** 40).default(64 * 1024 * 1024),
    "free disk space below which uploads are refused, in bytes",
  ),
  backupDir: setting(text().optional(), "folder of scheduled backups; without it none are made", {
    live: true,
  }),
  backupEvery: setting(
    duration(MINUTE).prefault("24h"),
    "time between scheduled backups, when no time of day is given",
    {
      live: true,
    },
  ),
  backupAt: setting(
    z
      .string()
      .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "it must be a time such as 03:30")
      .optional(),
    "time of day of scheduled backups, in the machine's own time zone",
    { live: true },
  ),
  backupKeepDaily: setting(whole(0, 10_000).default(7), "days whose newest backup is kept", { live: true }),
  backupKeepWeekly: setting(whole(0, 10_000).default(4), "weeks whose newest backup is kept", { live: true }),
  retentionSessionsDays: setting(
    whole(0, 36_500).default(0),
    "days after which an inactive session is deleted with all that belongs to it (0 keeps it)",
    { live: true },
  ),
  retentionMessagesDays: setting(
    whole(0, 36_500).default(0),
    "days after which the messages of an inactive session are deleted (0 keeps them)",
    { live: true },
  ),
  retentionAttachmentsDays: setting(
    whole(0, 36_500).default(0),
    "days after which an attachment in the data folder is deleted (0 keeps it; a bucket has rules of its own)",
    { live: true },
  ),
  retentionUsageDays: setting(
    whole(0, 36_500).default(0),
    "days after which usage reports are deleted (0 keeps them)",
    { live: true },
  ),
  retentionFeedDays: setting(
    whole(0, 36_500).default(0),
    "days after which entries of the activity feed are deleted (0 keeps them)",
    { live: true },
  ),
  maxStorageBytes: setting(
    whole(0, 2 ** 50).default(0),
    "most that the data folder may hold, in bytes: uploads are refused at 90 %, new things at 95 %, messages at 100 % (0 for no maximum)",
    { live: true },
  ),
  s3Host: setting(
    text().optional(),
    "S3 host that keeps attachments and avatars instead of the data folder",
    {
      legacy: ["S3_HOST"],
    },
  ),
  s3Port: setting(port().optional(), "port of the S3 host, when it is not the usual one", {
    legacy: ["S3_PORT"],
  }),
  s3UseSsl: setting(flag().default(true), "speak HTTPS with the S3 host", { legacy: ["S3_USE_SSL"] }),
  s3Region: setting(text().default("us-east-1"), "region of the S3 bucket", { legacy: ["S3_REGION"] }),
  s3AccessKey: setting(text().optional(), "S3 access key", { legacy: ["S3_ACCESS_KEY"], secret: true }),
  s3SecretKey: setting(text().optional(), "S3 secret key", { legacy: ["S3_SECRET_KEY"], secret: true }),
  s3Bucket: setting(text().optional(), "S3 bucket; clients read it under public/ without a key", {
    legacy: ["S3_BUCKET"],
  }),
  s3PublicUrl: setting(url().optional(), "address of the bucket for clients; by default its own", {
    legacy: ["S3_PUBLIC_URL"],
  }),
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
  registration: setting(
    z
      .enum(["claim", "open", "invite", "closed"], "it must be claim, open, invite or closed")
      .default("claim"),
    "who may make an account: claim (the first key owns the server, later ones wait for approval), open, invite or closed",
    { live: true },
  ),
  rateLimits: setting(flag().default(true), "limit how often one address may sign in, pair and upload", {
    live: true,
  }),
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
  realtimeRetentionInterval: setting(
    duration(1_000).prefault("1h"),
    "time between clean-ups of the event log of topics",
  ),
  realtimeRetentionDays: setting(
    z.coerce.number().min(0).default(7),
    "days the event log of topics goes back (0 keeps events however old)",
    { live: true },
  ),
  realtimeRetentionMaxRows: setting(
    whole(0, 2 ** 40).default(1_000_000),
    "events the event log of topics holds at most (0 for no limit)",
    { live: true },
  ),
  ...hubSettings,
  serverBusTimeout: setting(
    duration(-HOUR, HOUR)
      .prefault("5s")
      .transform((ms) => (ms <= 0 ? 5_000 : ms)),
    "time in which the bus between nodes must take a message",
    hubServerKey("bus_timeout"),
  ),
  clusterEnabled: setting(
    flag().default(false),
    "carry broadcasts of all protocols to the other nodes over a bus",
    hubKey("cluster.enabled"),
  ),
  clusterBusType: setting(
    z.enum(["etcd", "memory"]).default("etcd"),
    "the bus between nodes (memory: within this process)",
    hubKey("cluster.bus_type"),
  ),
  clusterEtcdEndpoints: setting(
    list().default(["http://etcd:2379"]).pipe(z.array(url()).min(1)),
    "addresses of etcd, comma-separated",
    hubKey("cluster.etcd.endpoints"),
  ),
  clusterEtcdDialTimeout: setting(
    duration(10, HOUR).prefault("5s"),
    "time in which an etcd endpoint must answer",
    hubKey("cluster.etcd.dial_timeout"),
  ),
  clusterEtcdKeyPrefix: setting(
    z
      .string()
      .regex(/^\/[\x21-\x7e]*[^/]$/, "it must begin with a slash and not end in one")
      .default("/gohub"),
    "prefix of this cluster's keys in etcd",
    hubKey("cluster.etcd.key_prefix"),
  ),
  clusterEtcdLeaseTtl: setting(
    duration(5_000, 10 * MINUTE).prefault("30s"),
    "life of a message in etcd",
    hubKey("cluster.etcd.lease_ttl"),
  ),
  clusterEtcdUsername: setting(text().optional(), "user name at etcd", hubKey("cluster.etcd.username")),
  clusterEtcdPassword: setting(text().optional(), "password at etcd", {
    ...hubKey("cluster.etcd.password"),
    secret: true,
  }),
  clusterEtcdTlsCa: setting(
    text().optional(),
    "PEM file of the authority that signed etcd's certificate",
    hubKey("cluster.etcd.tls.ca"),
  ),
  clusterEtcdTlsCert: setting(
    text().optional(),
    "PEM file of this node's certificate for etcd",
    hubKey("cluster.etcd.tls.cert"),
  ),
  clusterEtcdTlsKey: setting(
    text().optional(),
    "PEM file of the key to that certificate",
    hubKey("cluster.etcd.tls.key"),
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
