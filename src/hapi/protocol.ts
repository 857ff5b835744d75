// The manifest of the HAPI protocol: the hub of the hapi CLI and its web app, on a home that the original hub can take back.
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { HAPI_BOUNDS } from "./bounds.ts";
import { type HapiConfig, hapiSettings, unusedHapiVariables } from "./settings.ts";
import { hapiHighWater, hapiIdentity } from "./store/identity.ts";
import { hapiAskedFor, hapiOn } from "./switch.ts";

export const hapi: ProtocolManifest<HapiConfig> = {
  name: "hapi",
  settings: hapiSettings,
  unusedVariables: unusedHapiVariables,
  bounds: HAPI_BOUNDS,
  isOn: hapiOn,
  isAskedFor: hapiAskedFor,
  look: async (config) => (await import("./look.ts")).look(config),
  databases: [
    {
      name: "hapi",
      identity: hapiIdentity,
      migrations: async () => (await import("./store/migrations.ts")).migrations,
      highWater: hapiHighWater,
      home: {
        name: "hapi",
        setting: "hapiHome",
        files: ["settings.json", "jwt-secret.json", "owner-id.json"],
        folders: ["scratchlist-attachments"],
      },
    },
  ],
  publicFolders: ({ hapiWebDir: folder }) => [{ folder, flag: "--hapi-web-dir" }],
  commands: { hapi: async () => (await import("./command.ts")).hapiCommand },
  doctor: {
    shortestAgeMs: async (config) => (await import("./retention.ts")).shortestOf(config),
    names: ["hapi-home", "hapi-notes", "hapi-port", "hapi-web"],
    machine: async function* (config) {
      yield* (await import("./doctor.ts")).findings(config);
      yield (await import("./web/doctor.ts")).webAppFinding(config);
    },
  },
  greeting: async (facts) => (await import("./greeting.ts")).greeting(facts),
  offline: async (parts) => (await import("./offline.ts")).offline(parts),
  open: async (house) => (await import("./index.ts")).openHapi(house),
};
