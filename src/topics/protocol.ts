// The manifest of the topics protocol: durable lists over REST with live updates and replay over Socket.IO. Off until something of it is
// configured.
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { OWN } from "../storage/identity.ts";
import { type TopicsConfig, topicsSettings } from "./settings.ts";
import { topicsOn } from "./switch.ts";

export const topics: ProtocolManifest<TopicsConfig> = {
  name: "topics",
  settings: topicsSettings,
  isOn: topicsOn,
  databases: [
    {
      name: "topics",
      identity: OWN,
      migrations: async () => (await import("./store/migrations.ts")).migrations,
      highWater: [
        {
          table: "ws_topic_state",
          sql: "SELECT 'topic ' || topic AS name, version AS high FROM ws_topic_state",
        },
      ],
    },
  ],
  commands: { topics: async () => (await import("./command.ts")).topicsCommand },
  doctor: {
    names: [],
    shortestAgeMs: async (config) => (await import("./configured.ts")).shortestAgeMs(config),
  },
  offline: async (parts) => (await import("./offline.ts")).offline(parts),
  open: async (house) => (await import("./index.ts")).openTopics(house),
};
