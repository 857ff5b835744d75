// The RPC room as one value. This module is loaded only when the room is on.
import { build } from "../build-info.ts";
import type { House, OpenProtocol, OwnListener } from "../protocol/house.ts";
import { CpuThreads } from "./cpu/cpu-threads.ts";
import { openDiscovery } from "./discovery/open-discovery.ts";
import type { RpcDocument } from "./document/document.ts";
import { openDocument } from "./document/open-document.ts";
import { fixtures } from "./fixtures/services.ts";
import { Formats } from "./formats/formats.ts";
import { rpcApp } from "./http/app.ts";
import { CallerBodies } from "./http/caller-bodies.ts";
import { KeyedCalls } from "./idempotency/keyed-calls.ts";
import { reportGuards, reportInstances } from "./observe/call-metrics.ts";
import { openObserving } from "./observe/open-observing.ts";
import type { LongTasks } from "./pipeline/parts.ts";
import { Pipeline } from "./pipeline/pipeline.ts";
import type { MethodDefinition } from "./registry/definition.ts";
import { Registry } from "./registry/registry.ts";
import { InboundGuards } from "./resilience/guards.ts";
import { RateLimit } from "./resilience/rate-limit.ts";
import { Authenticators } from "./security/authentication.ts";
import { RoleBasedAccess } from "./security/authorization.ts";
import { CallFigures } from "./services/figures.ts";
import { HealthSource } from "./services/health.ts";
import { healthService } from "./services/health-service.ts";
import { roomMethod } from "./services/room-methods.ts";
import { systemService } from "./services/system-service.ts";
import type { RpcConfig } from "./settings.ts";
import { openStores } from "./store/open-stores.ts";
import { Streams } from "./streams/streams.ts";
import { liveTasks } from "./tasks/live-tasks.ts";
import { openTasks } from "./tasks/open-tasks.ts";
import type { TaskListener } from "./tasks/task-store.ts";

/** Of what the server may hold of request bodies. */
const SHARE_OF_BODIES = 1 / 4;

/** For calls to end by themselves once the door closes, which waits a little longer. */
const FINISH_MS = 2_000;

/** `given`: the document that counts now, in place of the configured one. `own`: methods of a program that embeds this room. @throws Error with a sentence for one that nobody may start with */
export async function openRpc(
  house: House<RpcConfig>,
  given?: () => RpcDocument,
  own: readonly MethodDefinition[] = [],
): Promise<OpenProtocol> {
  const { config, log } = house;
  const security = { hasModules: false };
  const source = await openDocument(house, security, given);
  const document = source.current;
  const listeners = await ownListeners(document());
  const registry = new Registry();
  let lateResults = 0;
  const { base_path: basePath } = document().rpc;
  if (config.rpcFixtures) {
    log.warn("the methods that tests of clients call are served: not for production");
    registry.register(
      fixtures({ url: () => `${house.baseUrl()}${basePath}/v2/rpc`, lateResults: () => lateResults }),
    );
  }
  const figures = new CallFigures();
  const server = { id: `${process.env.HOSTNAME ?? "roost"}-${process.pid}`, version: build.version };
  const observing = await openObserving({
    house,
    document,
    registry,
    server,
    ended: ({ method, methodName, endedBy, incoming }, { status }) => {
      // What its client ended is nobody's error.
      const isError = status === "error" && endedBy !== "disconnect" && endedBy !== "cancel";
      if (method !== undefined) figures.ended(methodName, isError, performance.now() - incoming.startedAt);
    },
    lateResult: () => {
      lateResults++;
    },
  });
  const { observer } = observing;
  const guards = new InboundGuards(document);
  reportGuards(house.metrics, {
    breakers: () => guards.breakers(),
    bulkheads: () => guards.bulkheads(),
    dimensions: () => ({
      breakers: document().resilience.circuit_breaker.key,
      bulkheads: document().resilience.bulkhead.key,
    }),
  });
  const threads = new CpuThreads({ document });
  house.metrics
    .gauge("rpc_cpu_threads", "Threads for methods that block")
    .report(() => threads.figures.threads);
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
    server,
    log,
    authentication: new Authenticators(),
    authorization: new RoleBasedAccess((call, isGranted) => observer.access(call, isGranted)),
    rateLimiting: new RateLimit({ decided: (call, isAllowed) => observer.rateLimited(call, isAllowed) }),
    idempotency: new KeyedCalls({ store: stores.calls, log }),
    guards,
    blocking: threads,
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
  const streams = new Streams({
    pipeline,
    limits: house.limits,
    maxQueuedBytes: () => config.maxQueuedBytes,
    metrics: house.metrics,
    cluster: house.cluster,
    log,
  });
  const health = new HealthSource({
    registry,
    breakers: () => guards.breakers(),
    dimensions: () => document().resilience.circuit_breaker.key,
    failed: (dependency, error) => log.error({ err: error, dependency }, "what services need does not work"),
  });
  const transports = () => ["rest", "jsonrpc"];
  const discovery = openDiscovery({ store: stores.instances, document, cluster: house.cluster, log });
  for (const need of stores.needs) health.depend(need);
  reportInstances(house.metrics, () => discovery.instances.entries());
  registry.register([
    ...own,
    ...discovery.methods,
    ...tasks.methods,
    ...healthService(health),
    ...systemService({
      registry,
      document,
      server,
      transports,
      figures,
      streams: streams.list,
      tasks: () => liveTasks(stores.tasks),
    }),
  ]);
  const bodies = new CallerBodies({
    limitBytes: () => config.maxBodyBytesInFlight * SHARE_OF_BODIES,
    bounds: house.limits.bounds,
  });
  const leaveMemory = house.limits.memory.join({ name: "calls", held: () => bodies.heldBytes });
  const app = rpcApp({
    pipeline,
    formats: new Formats(),
    streams,
    config: document,
    basePath,
    limits: house.limits,
    bodies,
    areStrangersLimited: () => config.rateLimits,
  });
  return {
    name: "rpc",
    http: [{ prefixes: [basePath], fetch: app }],
    sockets: [],
    listeners,
    endAnswers: () => {
      streams.endAnswers();
      setTimeout(() => pipeline.endCalls(), FINISH_MS).unref();
    },
    retention: tasks.retention,
    // Other rooms are open by then. What an earlier process left is called once every method is there.
    start: () => {
      for (const { port } of listeners) log.info({ port }, "calls are taken over TLS, too");
      registry.register(house.offered().map(roomMethod));
      streams.start();
      tasks.start();
      discovery.start();
    },
    stop: async () => {
      leaveMemory();
      streams.stop();
      discovery.stop();
      await tasks.stop();
      threads.stop();
      await stores.close();
      await Promise.all([source.close(), observing.close()]);
    },
  };
}

/** With TLS terms of its own; nothing of it is loaded where nobody asked for it. */
async function ownListeners(document: RpcDocument): Promise<readonly OwnListener[]> {
  if (document.rpc.tls.port === 0) return [];
  return [(await import("./security/tls-listener.ts")).tlsListener(document)];
}
