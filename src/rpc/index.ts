// The RPC room as one value. This module is loaded only when the room is on.
import { build } from "../build-info.ts";
import type { House, OpenProtocol } from "../protocol/house.ts";
import { DEFAULT_DOCUMENT, type RpcDocument } from "./document/document.ts";
import { fixtures } from "./fixtures/services.ts";
import { Formats } from "./formats/formats.ts";
import { rpcApp } from "./http/app.ts";
import { KeyedCalls } from "./idempotency/keyed-calls.ts";
import type { LongTasks, Observer } from "./pipeline/parts.ts";
import { Pipeline } from "./pipeline/pipeline.ts";
import { Registry } from "./registry/registry.ts";
import { InboundGuards } from "./resilience/guards.ts";
import { RateLimit } from "./resilience/rate-limit.ts";
import { Authenticators } from "./security/authentication.ts";
import { RoleBasedAccess } from "./security/authorization.ts";
import { refuseSecurity, securityWarnings } from "./security/startup.ts";
import type { RpcConfig } from "./settings.ts";
import { openStores } from "./store/open-stores.ts";
import { Streams } from "./streams/streams.ts";
import { openTasks } from "./tasks/open-tasks.ts";
import type { TaskListener } from "./tasks/task-store.ts";

/** `document`: the one that counts now. @throws Error with a sentence for one that nobody may start with */
export async function openRpc(
  house: House<RpcConfig>,
  document: () => RpcDocument = () => DEFAULT_DOCUMENT,
): Promise<OpenProtocol> {
  const { config, log } = house;
  const security = { hasModules: false };
  refuseSecurity(document(), security);
  for (const sentence of securityWarnings(document(), security, config.host)) log.warn(sentence);
  const registry = new Registry();
  if (config.rpcFixtures) registry.register(fixtures());
  const observer: Observer = {
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
  };
  // The pipeline and what tasks are made of need each other.
  let listener: TaskListener | undefined;
  let long: LongTasks | undefined;
  const stores = await openStores({
    database: house.database("rpc"),
    document,
    listener: { changed: (task) => listener?.changed(task), again: () => listener?.again() },
    log,
  });
  const pipeline = new Pipeline({
    registry,
    server: { id: `${process.env.HOSTNAME ?? "roost"}-${process.pid}`, version: build.version },
    log,
    authentication: new Authenticators(),
    authorization: new RoleBasedAccess((call, isGranted) => observer.access(call, isGranted)),
    rateLimiting: new RateLimit({ decided: () => {} }),
    idempotency: new KeyedCalls({ store: stores.calls, log }),
    guards: new InboundGuards(document),
    observer,
    longTasks: { takes: (call) => long?.takes(call) ?? false, defers: (call) => long?.defers(call) },
  });
  const tasks = await openTasks({
    ...stores,
    store: stores.tasks,
    pipeline,
    document,
    metrics: house.metrics,
    log,
  });
  listener = tasks.listener;
  long = tasks.longTasks;
  registry.register(tasks.methods);
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
    retention: tasks.retention,
    start: () => {
      streams.start();
      tasks.start();
    },
    stop: async () => {
      streams.stop();
      await tasks.stop();
      await stores.close();
    },
  };
}
