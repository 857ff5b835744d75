// The RPC room in this process behind a real front door on a free port, with a document that a test can change, and methods of its own.
import type { MessageBus } from "../../src/bus/message-bus.ts";
import type { Limits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { CpuThreads } from "../../src/rpc/cpu/cpu-threads.ts";
import { DEFAULT_DOCUMENT, type RpcDocument, rpcDocument } from "../../src/rpc/document/document.ts";
import { fixtures } from "../../src/rpc/fixtures/services.ts";
import { Formats } from "../../src/rpc/formats/formats.ts";
import { rpcApp } from "../../src/rpc/http/app.ts";
import { CallerBodies } from "../../src/rpc/http/caller-bodies.ts";
import type { PipelineParts } from "../../src/rpc/pipeline/parts.ts";
import { Pipeline } from "../../src/rpc/pipeline/pipeline.ts";
import type { MethodDefinition } from "../../src/rpc/registry/definition.ts";
import { Registry } from "../../src/rpc/registry/registry.ts";
import { InboundGuards } from "../../src/rpc/resilience/guards.ts";
import { Authenticators } from "../../src/rpc/security/authentication.ts";
import { LiveStreams } from "../../src/rpc/streams/live-streams.ts";
import { Streams } from "../../src/rpc/streams/streams.ts";
import { openFrontDoor } from "../../src/server/front-door.ts";
import { NO_COUNTERS } from "./hub-node.ts";
import { testLimits } from "./limits.ts";

export interface RpcRoomOptions {
  /** Sections of the document, as a file has them. */
  readonly document?: object;
  readonly methods?: readonly MethodDefinition[];
  readonly bus?: MessageBus;
  readonly maxStreams?: number;
  readonly maxMemoryBytes?: number;
  readonly maxQueuedBytes?: number;
}

export interface RpcRoom {
  readonly url: string;
  readonly port: number;
  readonly streams: Streams;
  readonly pipeline: Pipeline;
  readonly guards: InboundGuards;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Log lines as JSON text. */
  readonly lines: string[];
  /** What the pipeline's observer heard, one word and what it is about. */
  readonly heard: string[];
  /** As for a new version of the file. */
  change(document: object): void;
  call(method: string, data?: object, more?: object): Promise<Response>;
  control(body: object, headers?: Record<string, string>): Promise<Response>;
  stop(): Promise<void>;
}

export const BASE = "/aduib_rpc/v2";
export const stream = (handler: string, data: object = {}, more: object = {}) => ({
  id: "request-1",
  method: `rpc.v2/StreamService/${handler}`,
  data,
  ...more,
});

export async function rpcRoom(options: RpcRoomOptions = {}): Promise<RpcRoom> {
  const { bus, methods = [], maxStreams, maxMemoryBytes, maxQueuedBytes = 16 * 1024 * 1024 } = options;
  const parse = (document: object | undefined): RpcDocument =>
    document === undefined ? DEFAULT_DOCUMENT : rpcDocument.parse(document);
  let document = parse(options.document);
  const lines: string[] = [];
  const heard: string[] = [];
  const log = createLog("debug", { write: (line: string) => lines.push(line) });
  const metrics = new Metrics();
  const limits = testLimits(maxMemoryBytes === undefined ? {} : { maxMemoryBytesInFlight: maxMemoryBytes });
  const registry = new Registry();
  registry.register([...fixtures({ url: () => url, lateResults: () => 0 }), ...methods]);
  const guards = new InboundGuards(() => document);
  const parts: PipelineParts = {
    registry,
    server: { id: "node", version: "1.0.0" },
    log,
    authentication: new Authenticators(),
    authorization: { check: () => {} },
    rateLimiting: { take: () => {} },
    idempotency: { enter: async () => undefined, completed: async () => {}, released: async () => {} },
    guards,
    blocking: new CpuThreads({ document: () => document }),
    observer: {
      began: () => {},
      identified: () => {},
      answered: () => {},
      fellBack: () => {},
      rateLimited: () => {},
      ended: (call, outcome, { http }) =>
        heard.push(`ended ${call.methodName || call.request?.method.full} ${outcome.status} ${http}`),
      retried: () => {},
      replayed: () => {},
      lateResult: () => {},
      deprecatedCall: () => {},
      access: () => {},
      cancelled: (call, kind) => heard.push(`cancelled ${kind} by ${call.endedBy}`),
      unexpected: (_call, error) => heard.push(`unexpected ${(error as Error).message}`),
    },
  };
  const pipeline = new Pipeline(parts);
  const streams = new Streams({
    pipeline,
    limits,
    maxQueuedBytes: () => maxQueuedBytes,
    metrics,
    cluster: bus && { bus, counters: NO_COUNTERS, timeoutMs: 5_000 },
    log,
    ...(maxStreams !== undefined && { list: new LiveStreams(undefined, maxStreams) }),
  });
  const fetchRoom = rpcApp({
    pipeline,
    streams,
    formats: new Formats(),
    config: () => document,
    basePath: "/aduib_rpc",
    limits,
    bodies: new CallerBodies({ limitBytes: () => 32 * 1024 * 1024, bounds: limits.bounds }),
    areStrangersLimited: () => false,
  });
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [
      {
        port: 0,
        served: [
          {
            name: "rpc",
            http: [{ prefixes: ["/aduib_rpc"], fetch: fetchRoom }],
            sockets: [],
            endAnswers: () => streams.endAnswers(),
          },
        ],
      },
    ],
    trustedProxies: [],
    limits,
    log,
  });
  streams.start();
  const url = `http://127.0.0.1:${door.port}`;
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${url}${BASE}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  return {
    url,
    port: door.port,
    streams,
    pipeline,
    guards,
    metrics,
    limits,
    lines,
    heard,
    change: (changed) => {
      document = parse(changed);
    },
    call: (method, data = {}, more = {}) => post("/rpc", { id: "call-1", method, data, ...more }),
    control: (body, headers) => post("/rpc/stream/control", body, headers),
    stop: async () => {
      await door.close(1_000);
      streams.stop();
    },
  };
}
