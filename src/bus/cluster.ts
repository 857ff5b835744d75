// This node's place in a cluster: the bus that the configuration chose, or none. An engine's code is loaded only when it is used.
import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import type { Metrics } from "../observability/metrics.ts";
import { busCounters } from "./counters.ts";
import type { BusCounters, MessageBus } from "./message-bus.ts";
import type { BusConfig } from "./settings.ts";

export interface Cluster {
  readonly bus: MessageBus;
  readonly counters: BusCounters;
  /** How long one publish may take. */
  readonly timeoutMs: number;
}

/** Undefined when this node is alone. @throws the system's error when a certificate file cannot be read. */
export async function openCluster(
  config: BusConfig,
  metrics: Metrics,
  log: Logger,
): Promise<Cluster | undefined> {
  if (!config.clusterEnabled) return undefined;
  const counters = busCounters(metrics, config.clusterBusType);
  return { bus: await openBus(config, counters, log), counters, timeoutMs: config.clusterBusTimeout };
}

async function openBus(config: BusConfig, counters: BusCounters, log: Logger): Promise<MessageBus> {
  if (config.clusterBusType === "memory") {
    const { MemoryExchange } = await import("./memory.ts");
    return new MemoryExchange().join(log);
  }
  const { EtcdBus } = await import("./etcd.ts");
  return new EtcdBus(
    {
      endpoints: config.clusterEtcdEndpoints,
      dialTimeoutMs: config.clusterEtcdDialTimeout,
      keyPrefix: config.clusterEtcdKeyPrefix,
      leaseSeconds: Math.ceil(config.clusterEtcdLeaseTtl / 1_000),
      username: config.clusterEtcdUsername,
      password: config.clusterEtcdPassword,
      tls: tlsOf(config),
    },
    counters,
    log,
  );
}

function tlsOf({ clusterEtcdTlsCa: ca, clusterEtcdTlsCert: cert, clusterEtcdTlsKey: key }: BusConfig) {
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  return {
    ...(ca === undefined ? {} : { ca: readFileSync(ca, "utf8") }),
    ...(cert === undefined ? {} : { cert: readFileSync(cert, "utf8") }),
    ...(key === undefined ? {} : { key: readFileSync(key, "utf8") }),
  };
}
