// Settings of the Happy protocol alone. `legacy` names the original server's variables (HTTP contract, section 18).
import { z } from "zod";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { text, url, whole } from "../config/values.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";

export const happySettings = {
  happyRegistration: setting(
    z
      .enum(["claim", "open", "invite", "closed"], "it must be claim, open, invite or closed")
      .default("claim"),
    "who may make an account: claim (the first key owns the server, later ones wait for approval), open, invite or closed",
    { was: ["registration"], live: true },
  ),
  happyPresenceGraceMs: setting(
    whole(30_000, 45_000).default(40_000),
    "milliseconds a machine or session stays active after its last socket was lost",
    { was: ["presenceGraceMs"] },
  ),
  happyRetentionSessionsDays: setting(
    whole(0, 36_500).default(0),
    "days after which an inactive session is deleted with all that belongs to it (0 keeps it)",
    { was: ["retentionSessionsDays"], live: true },
  ),
  happyRetentionMessagesDays: setting(
    whole(0, 36_500).default(0),
    "days after which the messages of an inactive session are deleted (0 keeps them)",
    { was: ["retentionMessagesDays"], live: true },
  ),
  happyRetentionAttachmentsDays: setting(
    whole(0, 36_500).default(0),
    "days after which an attachment in the data folder is deleted (0 keeps it; a bucket has rules of its own)",
    { was: ["retentionAttachmentsDays"], live: true },
  ),
  happyRetentionUsageDays: setting(
    whole(0, 36_500).default(0),
    "days after which usage reports are deleted (0 keeps them)",
    { was: ["retentionUsageDays"], live: true },
  ),
  happyRetentionFeedDays: setting(
    whole(0, 36_500).default(0),
    "days after which entries of the activity feed are deleted (0 keeps them)",
    { was: ["retentionFeedDays"], live: true },
  ),
  happyStaticDir: setting(text().optional(), "folder of the web app to serve (with an index.html)", {
    was: ["staticDir"],
    legacy: ["HAPPY_STATIC_DIR"],
  }),
  happyInjectHtmlConfig: setting(
    z.string().optional(),
    "JSON that is set as window.__HAPPY_CONFIG__ in index.html",
    { was: ["injectHtmlConfig"], legacy: ["HAPPY_INJECT_HTML_CONFIG"] },
  ),
  happyWebAppUrl: setting(
    url().default("https://app.happy.engineering"),
    "where a browser is sent after connecting GitHub",
    { was: ["webAppUrl"] },
  ),
  happyExpoUrl: setting(url().default("https://exp.host"), "base address of the Expo push service", {
    was: ["expoUrl"],
  }),
  happyGithubUrl: setting(url().default("https://github.com"), "base address of GitHub's sign-in pages", {
    was: ["githubUrl"],
  }),
  happyGithubApiUrl: setting(url().default("https://api.github.com"), "base address of GitHub's API", {
    was: ["githubApiUrl"],
  }),
  happyGithubClientId: setting(text().optional(), "GitHub OAuth client id", {
    was: ["githubClientId"],
    legacy: ["GITHUB_CLIENT_ID"],
  }),
  happyGithubClientSecret: setting(text().optional(), "GitHub OAuth client secret", {
    was: ["githubClientSecret"],
    legacy: ["GITHUB_CLIENT_SECRET"],
    secret: true,
  }),
  happyGithubRedirectUrl: setting(text().optional(), "GitHub OAuth redirect address", {
    was: ["githubRedirectUrl"],
    legacy: ["GITHUB_REDIRECT_URL"],
  }),
  happyGithubAppId: setting(text().optional(), "GitHub App id (webhooks)", {
    was: ["githubAppId"],
    legacy: ["GITHUB_APP_ID"],
  }),
  happyGithubPrivateKey: setting(text().optional(), "GitHub App private key (webhooks)", {
    was: ["githubPrivateKey"],
    legacy: ["GITHUB_PRIVATE_KEY"],
    secret: true,
  }),
  happyGithubWebhookSecret: setting(text().optional(), "GitHub webhook secret", {
    was: ["githubWebhookSecret"],
    legacy: ["GITHUB_WEBHOOK_SECRET"],
    secret: true,
  }),
  happyGithubRedirectUri: setting(text().optional(), "GitHub App redirect address (webhooks)", {
    was: ["githubRedirectUri"],
    legacy: ["GITHUB_REDIRECT_URI"],
  }),
  happyElevenLabsUrl: setting(url().default("https://api.elevenlabs.io"), "base address of ElevenLabs", {
    was: ["elevenLabsUrl"],
  }),
  happyElevenLabsApiKey: setting(text().optional(), "ElevenLabs API key (voice)", {
    was: ["elevenLabsApiKey"],
    legacy: ["ELEVENLABS_API_KEY"],
    secret: true,
  }),
  happyRevenueCatUrl: setting(url().default("https://api.revenuecat.com"), "base address of RevenueCat", {
    was: ["revenueCatUrl"],
  }),
  happyRevenueCatApiKey: setting(text().optional(), "RevenueCat API key (voice)", {
    was: ["revenueCatApiKey"],
    legacy: ["REVENUECAT_API_KEY"],
    secret: true,
  }),
  happyClientLogs: setting(
    z.union([z.boolean(), z.string().transform((value) => value !== "")]).default(false),
    "accept debug logs of clients without authentication (any non-empty value switches it on)",
    { was: ["clientLogs"], legacy: ["DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING"] },
  ),
  happyClientLogsDir: setting(text().default(".logs"), "folder of the debug logs that clients send", {
    was: ["clientLogsDir"],
  }),
} as const satisfies Record<string, Setting>;

export type HappyConfig = HouseConfig & Values<typeof happySettings>;
