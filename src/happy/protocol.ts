// The manifest of the Happy protocol: zero-knowledge sync over REST and Socket.IO, for the Happy app, web app and CLI.
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { OWN } from "../storage/identity.ts";
import { HAPPY_BOUNDS } from "./bounds.ts";
import { type HappyConfig, happySettings } from "./settings.ts";

const SQLITE = "Roost keeps everything in SQLite";

export const happy: ProtocolManifest<HappyConfig> = {
  name: "happy",
  settings: happySettings,
  variables: { masterSecret: ["HANDY_MASTER_SECRET"] },
  // HTTP contract 18.
  unusedVariables: {
    DB_PROVIDER: SQLITE,
    DATABASE_URL: SQLITE,
    PGLITE_DIR: SQLITE,
    REDIS_URL: `${SQLITE} and needs no Redis`,
  },
  bounds: HAPPY_BOUNDS,
  isOn: () => true,
  publicFolders: ({ happyStaticDir: folder }) => [{ folder, flag: "--happy-static-dir" }],
  webAppAtRoot: async (config) => (await import("./http/web-app.ts")).webAppFolder(config),
  databases: [
    {
      name: "happy",
      identity: OWN,
      migrations: async () => (await import("./store/migrations.ts")).migrations,
      highWater: [
        { table: "sessions", sql: "SELECT 'session ' || id AS name, seq AS high FROM sessions" },
        {
          table: "messages",
          sql: `SELECT 'newest message of session ' || id AS name,
            (SELECT max(messages.seq) FROM messages WHERE session_pk = sessions.pk) AS high FROM sessions`,
        },
      ],
      sealed: {
        what: "accounts",
        variable: "HANDY_MASTER_SECRET",
        sql: "SELECT 1 FROM accounts LIMIT 1",
      },
    },
  ],
  commands: {
    accounts: async () => (await import("./commands/accounts.ts")).accounts,
    invite: async () => (await import("./commands/invite.ts")).invite,
  },
  doctor: {
    names: ["messages", "banner", "websocket", "idle", "upload", "slashes", "cors"],
    machine: async function* (config) {
      yield (await import("./doctor/refused-messages.ts")).checkRefusedMessages(config);
    },
    outside: {
      answers: async (visit) => (await import("./doctor/from-outside.ts")).outsideLook.answers(visit),
      checks: async function* (visit, late) {
        yield* (await import("./doctor/from-outside.ts")).outsideLook.checks(visit, late);
      },
    },
    shortestAgeMs: async (config) => (await import("./retention-rules.ts")).shortest(config),
    clockUrl: ({ happyExpoUrl: expoUrl }) => expoUrl,
  },
  greeting: async (facts) => (await import("./greeting.ts")).greeting(facts),
  offline: async (parts) => (await import("./offline.ts")).offline(parts),
  open: async (house) => (await import("./index.ts")).openHappy(house),
};
