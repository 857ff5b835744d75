// Settings of the Happy protocol alone. `legacy` names the original server's variables (HTTP contract, section 18).
import { z } from "zod";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { text, url, whole } from "../config/values.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";

export const happySettings = {
  registration: setting(
    z
      .enum(["claim", "open", "invite", "closed"], "it must be claim, open, invite or closed")
      .default("claim"),
    "who may make an account: claim (the first key owns the server, later ones wait for approval), open, invite or closed",
    { live: true },
  ),
  presenceGraceMs: setting(
    whole(30_000, 45_000).default(40_000),
    "milliseconds a machine or session stays active after its last socket was lost",
  ),
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
} as const satisfies Record<string, Setting>;

export type HappyConfig = HouseConfig & Values<typeof happySettings>;
