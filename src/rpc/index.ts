// The RPC room as one value. This module is loaded only when the room is on.
import { build } from "../build-info.ts";
import type { House, OpenProtocol } from "../protocol/house.ts";
import { HealthChecker } from "./discovery/checker.ts";
import { discoveryService } from "./discovery/discovery-service.ts";
import { Instances } from "./discovery/instances.ts";
import type { RpcDocument } from "./document/document.ts";
import { openDocument } from "./document/open-document.ts";
import { fixtures } from "./fixtures/services.ts";
import { Formats } from "./formats/formats.ts";
import { rpcApp } from "./http/app.ts";
import { reportGuards, reportInstances } from "./observe/call-metrics.ts";
import { openObserving } from "./observe/open-observing.ts";
import { Pipeline } from "./pipeline/pipeline.ts";
import { Registry } from "./registry/registry.ts";
import { InboundGuards } from "./resilience/guards.ts";
import { RateLimit } from "./resilience/rate-limit.ts";
import { Authenticators } from "./security/authentication.ts";
import { permits, RoleBasedAccess } from "./security/authorization.ts";
import { CallFigures } from "./services/figures.ts";
import { HealthSource } from "./services/health.ts";
import { healthService } from "./services/health-service.ts";
import { roomMethod } from "./services/room-methods.ts";
import { systemService } from "./services/system-service.ts";
import type { RpcConfig } from "./settings.ts";
import { LiveStreams } from "./streams/live-streams.ts";

/** `given`: the document that counts now, in place of the configured one. @throws Error with a sentence for one that nobody may start with */
export async function openRpc(house: House<RpcConfig>, given?: () => RpcDocument): Promise<OpenProtocol> {
  const { config, log } = house;
  const security = { hasModules: false };
  const source = await openDocument(house, security, given);
  const document = source.current;
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
  const pipeline = new Pipeline({
    registry,
    server,
    log,
    authentication: new Authenticators(),
    authorization: new RoleBasedAccess((call, isGranted) => observer.access(call, isGranted)),
    rateLimiting: new RateLimit({ decided: (call, isAllowed) => observer.rateLimited(call, isAllowed) }),
    idempotency: { enter: async () => undefined, completed: async () => {}, released: async () => {} },
    guards,
    observer,
  });
  const streams = new LiveStreams({
    log,
    observer: Object.assign(observer, { streamFrame: () => {} }),
    ended: ({ call }, outcome) =>
      observer.ended(call, outcome, {
        durationMs: Math.floor(performance.now() - call.incoming.startedAt),
        http: 200,
      }),
  });
  const health = new HealthSource({
    registry,
    breakers: () => guards.breakers(),
    dimensions: () => document().resilience.circuit_breaker.key,
    failed: (dependency, error) => log.error({ err: error, dependency }, "what services need does not work"),
  });
  const transports = () => ["rest", "jsonrpc"];
  const discovery = () => document().discovery;
  const instances = new Instances(discovery);
  reportInstances(house.metrics, () => instances.entries());
  const checker = new HealthChecker(instances, discovery);
  registry.register([
    ...discoveryService({
      instances,
      settings: discovery,
      permits: ({ principal, method }, permission) =>
        permits(document().security, principal, permission, [method]),
    }),
    ...healthService(health),
    ...systemService({ registry, document, server, transports, figures, streams }),
  ]);
  const app = rpcApp({
    pipeline,
    formats: new Formats(),
    streams,
    config: document,
    basePath,
    limits: house.limits,
    areStrangersLimited: () => config.rateLimits,
  });
  return {
    name: "rpc",
    http: [{ prefixes: [basePath], fetch: app }],
    sockets: [],
    endAnswers: () => streams.shutdown(),
    // Other rooms are open by then.
    start: () => {
      registry.register(house.offered().map(roomMethod));
      checker.start();
    },
    stop: async () => {
      checker.stop();
      await Promise.all([source.close(), observing.close()]);
    },
  };
}
