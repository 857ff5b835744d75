// The manifest of the RPC protocol v2: methods called in envelopes over HTTP, unary or as streams, with tasks. Off until it is asked for.
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { OWN } from "../storage/identity.ts";
import { type RpcConfig, rpcSettings } from "./settings.ts";
import { STREAM_BOUNDS } from "./streams/bounds.ts";

export const rpc: ProtocolManifest<RpcConfig> = {
  name: "rpc",
  settings: rpcSettings,
  isOn: ({ rpcEnabled }) => rpcEnabled,
  bounds: STREAM_BOUNDS,
  databases: [
    {
      name: "rpc",
      identity: OWN,
      // Who may call stands in it.
      configured: ["rpc.yaml"],
      migrations: async () => (await import("./store/migrations.ts")).migrations,
      highWater: [
        {
          table: "rpc_tasks",
          sql: "SELECT 'tasks' AS name, seq AS high FROM sqlite_sequence WHERE name = 'rpc_tasks'",
        },
      ],
    },
  ],
  doctor: {
    names: ["rpc-document"],
    machine: async function* (config) {
      yield* (await import("./doctor.ts")).findings(config);
    },
    shortestAgeMs: async (config) => (await import("./doctor.ts")).shortestAgeMs(config),
  },
  greeting: async (facts) => (await import("./greeting.ts")).greeting(facts),
  offline: async (parts) => (await import("./offline.ts")).offline(parts),
  open: async (house) => (await import("./index.ts")).openRpc(house),
};
