// DiscoveryService, what it keeps, the checks of its instances and the way to other nodes, joined.
import type { Logger } from "pino";
import type { Cluster } from "../../bus/cluster.ts";
import type { RpcDocument } from "../document/document.ts";
import type { MethodDefinition } from "../registry/definition.ts";
import { permits } from "../security/authorization.ts";
import type { SqliteInstances } from "../store/sqlite-instances.ts";
import { HealthChecker } from "./checker.ts";
import { discoveryService } from "./discovery-service.ts";
import { InstanceNews } from "./instance-news.ts";
import { Instances } from "./instances.ts";
import { Registrations } from "./registrations.ts";

export interface DiscoveryParts {
  readonly store: SqliteInstances;
  readonly document: () => RpcDocument;
  readonly cluster: Cluster | undefined;
  readonly log: Logger;
}

export interface OpenDiscovery {
  readonly instances: Instances;
  readonly methods: readonly MethodDefinition[];
  start(): void;
  stop(): void;
}

/** What an earlier process was told is there already, and not looked at yet. */
export function openDiscovery({ store, document, cluster, log }: DiscoveryParts): OpenDiscovery {
  const settings = () => document().discovery;
  const instances = new Instances(settings, undefined, (entry) => registrations.expired(entry));
  const registrations: Registrations = new Registrations({
    instances,
    store,
    log,
  });
  registrations.load();
  const checker = new HealthChecker(instances, settings);
  let news: InstanceNews | undefined;
  return {
    instances,
    methods: discoveryService({
      instances,
      registrations,
      settings,
      permits: ({ principal, method }, permission) =>
        permits(document().security, principal, permission, [method]),
    }),
    start: () => {
      if (cluster !== undefined) news = new InstanceNews({ cluster, instances, registrations, log });
      registrations.news = news;
      checker.start();
    },
    stop: () => {
      checker.stop();
      registrations.news = undefined;
      news?.close();
    },
  };
}
