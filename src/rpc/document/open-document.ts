// The document of a server that starts: where its parts come from, and what nobody may start with (contract 16). The order that wins:
// defaults, the file or `rpc.document`, etcd, Nacos, the environment.
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { House } from "../../protocol/house.ts";
import { refuseSecurity, type SecurityFacts, securityWarnings } from "../security/startup.ts";
import { refuseTls, tlsWarnings } from "../security/tls-rules.ts";
import type { RpcConfig } from "../settings.ts";
import type { RpcDocument } from "./document.ts";
import { DocumentSource } from "./document-source.ts";
import { EnvironmentProvider } from "./environment-provider.ts";
import { FileProvider } from "./file-provider.ts";
import type { Provider } from "./provider.ts";
import { SettingProvider } from "./setting-provider.ts";

export type DocumentHouse = Pick<House<RpcConfig>, "config" | "log" | "metrics" | "cluster"> & {
  /** What a network says is left out: somebody only looks. */
  readonly isHereOnly?: boolean;
};

export const DEFAULT_FILE = "rpc.yaml";
/** Where documents come from, and what files of this machine are read, run and written: no document of a network decides about them. */
const ONLY_HERE = [
  "config",
  "rpc.services_dir",
  "observability.audit_file",
  ...["security.tls", "security.tls.http"].flatMap((tls) =>
    ["server_cert_path", "server_key_path", "ca_cert_path", "crl_path"].map((key) => `${tls}.${key}`),
  ),
];

const NOWHERE: RpcDocument["config"] = {};

/** What the room is told by. */
export type LiveDocument = Pick<DocumentSource, "current" | "onChange" | "close">;

/**
 * Follows changes from here on, until it is closed. `given`: a document of the caller's own, in place of what is configured.
 * @throws Error with a sentence for the person: a start without what a provider says could let in everybody.
 */
export async function openDocument(
  house: DocumentHouse,
  security: SecurityFacts,
  given?: () => RpcDocument,
): Promise<LiveDocument> {
  if (given === undefined) return configured(house, security);
  const { config, log } = house;
  refuse(given(), security, config);
  await tryTls(given());
  for (const sentence of warnings(given(), security, config)) log.warn(sentence);
  return { current: given, onChange: () => {}, close: async () => {} };
}

/** @throws Error with a sentence. */
function refuse(document: RpcDocument, security: SecurityFacts, { port }: RpcConfig): void {
  refuseSecurity(document, security);
  refuseTls(document, port);
}

/** With the files that it names. @throws Error with a sentence. */
async function tryTls(document: RpcDocument): Promise<void> {
  if (document.rpc.tls.port > 0) (await import("../security/tls-listener.ts")).tlsListener(document);
}

const warnings = (document: RpcDocument, security: SecurityFacts, { host }: RpcConfig): readonly string[] => [
  ...securityWarnings(document, security, host),
  ...tlsWarnings(document),
];

/** @throws Error with a sentence. */
export async function configured(
  house: DocumentHouse,
  security: SecurityFacts,
  variables: Readonly<Record<string, string | undefined>> = process.env,
): Promise<DocumentSource> {
  const { config, log, metrics, cluster } = house;
  const errors = metrics.counter(
    "config_reload_errors_total",
    "Changed documents of calls that were not usable",
  );
  const source = new DocumentSource({
    log,
    refuse: (document) => refuse(document, security, config),
    warnings: (document) => [
      ...warnings(document, security, config),
      ...readableByAll(first, document.security),
    ],
    rejected: () => errors.add(),
  });
  const environment = new EnvironmentProvider(variables);
  const first = written(config);
  try {
    await source.add({ provider: first, variables });
    await source.add({ provider: environment });
    const { etcd, nacos } = house.isHereOnly === true ? NOWHERE : source.current().config;
    if (etcd !== undefined) {
      const board = cluster?.bus.values;
      if (board === undefined)
        throw new Error(
          "config.etcd needs a cluster over etcd: set clusterEnabled and clusterBusType, or remove config.etcd.",
        );
      const { EtcdProvider } = await import("./etcd-provider.ts");
      await source.add({ provider: new EtcdProvider(board, etcd.key), without: ONLY_HERE }, [environment]);
    }
    if (nacos !== undefined) {
      const { NacosProvider } = await import("./nacos-provider.ts");
      await source.add({ provider: new NacosProvider(nacos), without: ONLY_HERE }, [environment]);
    }
    await tryTls(source.current());
    source.start();
    return source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The file or the map in roost.yaml: what is said twice is a mistake. @throws Error with a sentence. */
function written(config: RpcConfig): Provider {
  const { rpcConfig, rpcDocument, dataDir } = config;
  const standard = join(resolve(dataDir), DEFAULT_FILE);
  const named = rpcConfig === undefined ? undefined : resolve(rpcConfig);
  // Opening a database past SQLite, and closing it again, takes its locks away.
  if (named !== undefined && /\.db(-wal|-shm|-journal)?$/i.test(named))
    throw new Error(`${named} has a name of databases: it cannot say how calls are served.`);
  if (rpcDocument === undefined)
    return new FileProvider({ path: named ?? standard, isOptional: named === undefined });
  const other = named ?? (existsSync(standard) ? standard : undefined);
  if (other !== undefined)
    throw new Error(`rpc.document and ${other} both say how calls are served: keep one of the two.`);
  return new SettingProvider(() => config.rpcDocument);
}

/** A file that others of this machine can read, with a secret in it. */
function readableByAll(
  provider: Provider | undefined,
  { jwt, tls }: { readonly jwt?: unknown; readonly tls: { readonly server_key?: unknown } },
): readonly string[] {
  if (!(provider instanceof FileProvider) || (jwt === undefined && tls.server_key === undefined)) return [];
  const mode = statSync(provider.name, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & 0o004) === 0 || process.platform === "win32"
    ? []
    : [`${provider.name} has a secret in it and everybody on this machine can read it: chmod 600.`];
}
