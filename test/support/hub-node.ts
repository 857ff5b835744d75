// One node of the frames hub in this process: a real front door on a free port with nothing but the hub behind it, so that a test can
// reach the server side (broadcast, push, rooms) as well as connect clients.
import type { Cluster } from "../../src/bus/cluster.ts";
import type { BusCounters, MessageBus } from "../../src/bus/message-bus.ts";
import { Admission } from "../../src/frames/admission.ts";
import { FRAMES_BOUNDS } from "../../src/frames/bounds.ts";
import { hubEndpoint } from "../../src/frames/endpoint.ts";
import { createDispatcher } from "../../src/frames/handlers/index.ts";
import { Hub } from "../../src/frames/hub.ts";
import type { HubSettings } from "../../src/frames/hub-settings.ts";
import { hubMetrics } from "../../src/frames/metrics.ts";
import { HubSdk } from "../../src/frames/sdk.ts";
import { Shares } from "../../src/frames/shares.ts";
import { BOUNDS, Bounds } from "../../src/limits/bounds.ts";
import type { Limits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { parseRanges } from "../../src/server/client-address.ts";
import { openFrontDoor } from "../../src/server/front-door.ts";
import { FramesClient } from "./frames-client.ts";
import { testLimits } from "./limits.ts";

export const HUB_DEFAULTS: HubSettings = {
  readTimeoutMs: 180_000,
  writeTimeoutMs: 180_000,
  readBufferSize: 4_096,
  messageBufferCap: 256,
  serverPing: true,
  errorReplies: true,
  onFull: "error",
  presence: false,
  autoCreateRooms: false,
  maxClients: 10_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxClientsPerAddress: 2_000,
  maxConnectionsPerSecond: 200,
  maxMessagesPerSecond: 2_000,
  auth: undefined,
  closeOnExpiry: true,
  origins: undefined,
};

export const NO_COUNTERS: BusCounters = { publishError() {}, gap() {}, duplicate() {}, reconnect() {} };

export interface HubNode {
  readonly hub: Hub;
  readonly sdk: HubSdk;
  readonly url: string;
  /** Log lines as JSON text. */
  readonly lines: string[];
  readonly metrics: Metrics;
  readonly limits: Limits;
  connect(id: string, query?: Record<string, string>): Promise<FramesClient>;
  stop(): Promise<void>;
}

export interface HubNodeOptions {
  readonly settings?: Partial<HubSettings>;
  /** Closed with the node. */
  readonly bus?: MessageBus;
  readonly busTimeoutMs?: number;
  readonly publicUrl?: string;
  /** `loopback`: what the test says as a proxy is believed. */
  readonly trustedProxies?: readonly string[];
  readonly now?: () => number;
}

export async function hubNode({
  settings: changed,
  bus,
  busTimeoutMs = 5_000,
  publicUrl,
  trustedProxies = [],
  now,
}: HubNodeOptions = {}): Promise<HubNode> {
  const lines: string[] = [];
  const log = createLog("debug", { write: (line: string) => lines.push(line) });
  const metrics = new Metrics();
  const limits = {
    ...testLimits(),
    bounds: new Bounds(metrics, log, undefined, { ...BOUNDS, ...FRAMES_BOUNDS }),
  };
  const cluster: Cluster | undefined =
    bus === undefined ? undefined : { bus, counters: NO_COUNTERS, timeoutMs: busTimeoutMs };
  const settings = { ...HUB_DEFAULTS, ...changed };
  const shares = new Shares(settings);
  const figures = hubMetrics(metrics);
  const hub = new Hub({
    settings,
    cluster,
    dispatcher: createDispatcher(log),
    shares,
    metrics: figures,
    limits,
    log,
    ...(now === undefined ? {} : { now }),
  });
  const admission = new Admission({
    hub,
    settings,
    shares,
    names: { publicUrl },
    isShared: () => false,
    metrics: figures,
    bounds: limits.bounds,
  });
  const endpoint = hubEndpoint({
    path: "/ws",
    maxQueuedBytes: 16 * 1024 * 1024,
    hub,
    admission,
    settings,
    metrics: figures,
    log,
  });
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [{ port: 0, served: [{ name: "frames", http: [], sockets: [endpoint] }] }],
    trustedProxies: parseRanges(trustedProxies),
    limits,
    log,
  });
  const url = `http://127.0.0.1:${door.port}`;
  await hub.ready;
  return {
    hub,
    sdk: new HubSdk(hub),
    url,
    lines,
    metrics,
    limits,
    connect: (id, query = {}) => FramesClient.connect(url, { client_id: id, ...query }),
    stop: async () => {
      await door.close(1_000);
      await bus?.close();
    },
  };
}
