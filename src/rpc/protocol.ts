// The manifest of the RPC protocol v2: methods called in envelopes over HTTP, unary or as streams, with tasks. Off until it is asked for.
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { type RpcConfig, rpcSettings } from "./settings.ts";
import { STREAM_BOUNDS } from "./streams/bounds.ts";

export const rpc: ProtocolManifest<RpcConfig> = {
  name: "rpc",
  settings: rpcSettings,
  isOn: ({ rpcEnabled }) => rpcEnabled,
  bounds: STREAM_BOUNDS,
  databases: [],
  open: async (house) => (await import("./index.ts")).openRpc(house),
};
