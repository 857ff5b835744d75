// The RPC room as one value. This module is loaded only when the room is on.
import { build } from "../build-info.ts";
import type { House, OpenProtocol } from "../protocol/house.ts";
import { DEFAULT_DOCUMENT } from "./document/document.ts";
import { fixtures } from "./fixtures/services.ts";
import { Formats } from "./formats/formats.ts";
import { rpcApp } from "./http/app.ts";
import { NOBODY } from "./pipeline/call.ts";
import { Pipeline } from "./pipeline/pipeline.ts";
import { Registry } from "./registry/registry.ts";
import type { RpcConfig } from "./settings.ts";
import { Streams } from "./streams/streams.ts";

export async function openRpc(house: House<RpcConfig>): Promise<OpenProtocol> {
  const { config, log } = house;
  const registry = new Registry();
  if (config.rpcFixtures) registry.register(fixtures());
  const document = () => DEFAULT_DOCUMENT;
  const pipeline = new Pipeline({
    registry,
    server: { id: `${process.env.HOSTNAME ?? "roost"}-${process.pid}`, version: build.version },
    log,
    authentication: { identify: () => NOBODY },
    authorization: { check: () => {} },
    rateLimiting: { take: () => {} },
    idempotency: { enter: async () => undefined, completed: async () => {}, released: async () => {} },
    guards: {
      enter: () => ({ release: () => {} }),
      admit: () => ({ succeeded: () => {}, failed: () => {}, ignored: () => {} }),
    },
    observer: {
      began: () => {},
      ended: () => {},
      retried: () => {},
      replayed: () => {},
      lateResult: () => {},
      deprecatedCall: () => {},
      access: () => {},
      cancelled: () => {},
      unexpected: (call, error) =>
        log.error({ err: error, request_id: call.id }, "a method failed unexpectedly"),
    },
  });
  const streams = new Streams({
    pipeline,
    limits: house.limits,
    maxQueuedBytes: () => config.maxQueuedBytes,
    metrics: house.metrics,
    cluster: house.cluster,
    log,
  });
  const basePath = document().rpc.base_path;
  const app = rpcApp({
    pipeline,
    streams,
    formats: new Formats(),
    config: document,
    basePath,
    limits: house.limits,
    areStrangersLimited: () => config.rateLimits,
  });
  return {
    name: "rpc",
    http: [{ prefixes: [basePath], fetch: app }],
    sockets: [],
    endAnswers: () => streams.endAnswers(),
    start: () => streams.start(),
    stop: async () => streams.stop(),
  };
}
