// The only composition root: builds every long-lived part from the configuration and the list of protocols, starts and stops them in
// order. It names no protocol.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { baseUrl } from "./admin/base-url.ts";
import { openChannel } from "./admin/channel.ts";
import { adminApp } from "./admin/mount.ts";
import { openCluster } from "./bus/cluster.ts";
import { FrontPage } from "./http/front-page.ts";
import { openLimits } from "./limits/limits.ts";
import { ValueSizes } from "./limits/value-sizes.ts";
import { reportLog } from "./observability/log.ts";
import { Metrics } from "./observability/metrics.ts";
import { reportConnections } from "./ops/connection-metrics.ts";
import { type Check, openPagesPort, type PagesPort, pages } from "./ops/pages.ts";
import { reportProcess } from "./ops/process-metrics.ts";
import { Requests } from "./ops/requests.ts";
import type { OpsConfig } from "./ops/settings.ts";
import { reportDatabase, reportFolder } from "./ops/storage-metrics.ts";
import type { House, OpenProtocol } from "./protocol/house.ts";
import type { HouseConfig } from "./protocol/house-settings.ts";
import { lockHomes } from "./protocol/lock-folders.ts";
import type { ProtocolManifest } from "./protocol/manifest.ts";
import { openOne } from "./protocol/open-databases.ts";
import { homeFlags, homeFolders, makeHomes, type PlacedDatabase, placesOf } from "./protocol/places.ts";
import { protocols as all } from "./protocols.ts";
import { RetentionClock } from "./retention/clock.ts";
import { type Kept, Maintenance } from "./retention/maintenance.ts";
import { type Certificate, readCertificate } from "./server/certificate.ts";
import { parseRanges } from "./server/client-address.ts";
import { type FrontDoor, openFrontDoor } from "./server/front-door.ts";
import type { ListenerOptions } from "./server/listener.ts";
import { localUrl } from "./server/machine-addresses.ts";
import { publishOwnAddress } from "./server/own-address.ts";
import type { Served } from "./server/served.ts";
import type { ServerConfig } from "./server/settings.ts";
import { SocketIoPaths } from "./server/socket-io.ts";
import { AccountBounds } from "./storage/account-bounds.ts";
import type { Database } from "./storage/database.ts";
import { lockFolder } from "./storage/lock.ts";
import { loadMasterSecret, type Sealed } from "./storage/master-secret.ts";
import { openBlobs } from "./storage/open-blobs.ts";
import { refusePublicData } from "./storage/private-folder.ts";
import { Quota } from "./storage/quota.ts";

export interface RunningServer {
  readonly port: number;
  readonly host: string;
  /** True on the very first start in this data folder. */
  readonly firstRun: boolean;
  /** Those that are served, by name. */
  readonly protocols: ReadonlyMap<string, ServedProtocol>;
  /** Undefined without TLS. */
  readonly certificate: Certificate | undefined;
  /**
   * Reads the certificate's files again and shows it to new connections. Resolves with it when it changed.
   * @throws Error when the files are no usable pair; the one that was shown stays.
   */
  renewCertificate(): Promise<Certificate | undefined>;
  /** Resolves when only a new process can go on, and this one should stop and end with an error. */
  readonly failed: Promise<Error>;
  /** What only a restart mends, as a sentence; undefined while there is nothing of the kind. */
  deadly(): string | undefined;
  /** Refuses new work, finishes what is in flight, closes sockets so that clients come back, stores and closes everything. */
  stop(): Promise<void>;
}

export interface ServedProtocol {
  /** All that it keeps was made at this start. */
  readonly firstRun: boolean;
}

/** In-flight requests get this long at a stop. */
const FINISH_MS = 3_000;

/**
 * @param protocols which there are; those that the configuration leaves off are not loaded.
 * @throws StorageError, or the system's error for the folder or the port; whatever was opened is closed again.
 */
export async function startServer<C extends HouseConfig>(
  config: C,
  log: Logger,
  protocols: readonly ProtocolManifest<C>[] = all as readonly ProtocolManifest[],
): Promise<RunningServer> {
  const { dataDir } = config;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const asked = protocols.filter((protocol) => protocol.isOn(config));
  for (const protocol of asked) protocol.refuse?.(config);
  refusePublic(asked, config);
  let certificate = certificateOf(config);
  const stack = new Stack(log);
  try {
    const lock = lockFolder(dataDir);
    stack.defer(() => lock.release());
    const on = await settled(asked, { config, stack, log });
    const metrics = new Metrics();
    stack.defer(reportProcess(metrics));
    reportLog(metrics, log);
    const limits = openLimits({
      config,
      bounds: Object.assign({}, ...on.map(({ protocol }) => protocol.bounds)),
      metrics,
      log: log.child({ area: "limits" }),
    });
    const storageLog = log.child({ area: "storage" });
    const checks: Check[] = [];
    const failed = Promise.withResolvers<Error>();
    const quota = new Quota(
      () => config.maxStorageBytes,
      new AccountBounds({
        limits: () => ({
          bytes: config.maxAccountBytes,
          counts: { machines: config.maxAccountMachines, accessKeys: config.maxAccountAccessKeys },
        }),
        refused: (name, facts) => limits.bounds.refused(name, facts),
      }),
    );
    const sizes = new ValueSizes(() => ({
      metadata: config.maxMetadataBytes,
      state: config.maxStateBytes,
      content: config.maxContentBytes,
    }));
    const maintenance = new Maintenance({
      config,
      homes: homeFlags(on.flatMap(({ places }) => places)),
      folders: homeFolders(on.flatMap(({ places }) => places)),
      quota,
      log: storageLog,
    });
    const databases = new Map<string, Database>();
    const folders = new Map<string, string>();
    for (const { places } of on)
      for (const place of places) {
        const { name } = place.spec;
        const { commit } = config;
        const database = await openOne(place, { log: storageLog, quota, sizes, commit });
        stack.defer(() => database.close());
        databases.set(name, database);
        folders.set(name, place.folder);
        reportDatabase(metrics, name, database);
        checks.push({ name, run: () => database.check() });
        void database.lost.then(failed.resolve);
        const { snapshot } = database.migration;
        if (snapshot !== undefined)
          log.info({ snapshot }, "the database was brought up to date; the old file is kept");
      }
    const isNew = ({ migration }: Database) => migration.from === 0;
    const firstRun = [...databases.values()].every(isNew);
    const masterSecret = loadMasterSecret(config, sealedBySecret(on, databases)).value;
    const blobs = maintenance.metered(openBlobs(config, storageLog));
    stack.defer(() => blobs.stop());
    if (config.s3Host === undefined) reportFolder(metrics, join(dataDir, "files"));
    const cluster = await openCluster(config, metrics, log.child({ area: "bus" }));
    if (cluster !== undefined) stack.defer(() => cluster.bus.close());

    const serverLog = log.child({ area: "server" });
    const sockets = new SocketIoPaths({ limits, log: serverLog });
    let port = config.port;
    const open: OpenProtocol[] = [];
    const retentions: Kept["retentions"][number][] = [];
    const atRoot = await webAppsAtRoot(on, config);
    for (const { protocol } of on) {
      const areaLog = log.child({ area: protocol.name });
      const house: House<C> = {
        config,
        masterSecret,
        database: (name) => {
          const database = databases.get(name);
          if (database === undefined) throw new Error(`${protocol.name} has no database ${name}`);
          return database;
        },
        folder: (name) => folders.get(name) ?? dataDir,
        blobs,
        metrics,
        limits,
        sockets,
        cluster,
        rootIsTaken: atRoot.some((name) => name !== protocol.name),
        offered: () => open.flatMap(({ methods }) => methods ?? []),
        baseUrl: () => baseUrl({ ...config, port }),
        log: areaLog,
      };
      const opened = await protocol.open(house);
      // Runs when the door is closed, before any database is.
      stack.defer(() => opened.stop());
      open.push(opened);
      checks.push(...(opened.checks ?? []));
      const { retention } = opened;
      if (retention === undefined) continue;
      const clock = new RetentionClock({
        dataDir,
        name: protocol.name,
        newest: (now) => retention.newest(now),
      });
      // Before anything is stored with the time of this start.
      await clock.begin();
      retentions.push({ retention, clock, log: areaLog, owners: opened.blobOwners });
    }

    const watched = {
      metrics,
      checks,
      token: config.metricsEnabled === false ? undefined : config.metricsToken,
      log: serverLog,
    };
    const labels = open.find(({ requestLabels }) => requestLabels !== undefined)?.requestLabels;
    const requests = new Requests(metrics, serverLog, labels);
    let pagesPort: PagesPort | undefined;
    const door: FrontDoor = openFrontDoor({
      host: config.host,
      listeners: listenersOf(config.port, open, pages(watched), serverLog),
      shared: sockets.open(),
      trustedProxies: parseRanges(config.trustedProxies),
      certificate,
      limits,
      log: serverLog,
      connections: {
        maxPerAddress: () => config.maxConnectionsPerAddress,
        otherPorts: () => (pagesPort === undefined ? [] : [pagesPort.port]),
      },
      finished: (...facts) => requests.finished(...facts),
    });
    stack.defer(() => door.close(FINISH_MS));
    port = door.port;
    metrics
      .gauge("roost_socket_queued_bytes", "Bytes that wait for slow sockets")
      .report(() => door.queuedBytes());
    reportConnections(metrics, door);
    const metricsPort = pagesPortOf(config);
    pagesPort = metricsPort === undefined ? undefined : openPagesPort(config.host, metricsPort, watched);
    stack.defer(() => pagesPort?.stop());
    stack.defer(publishOwnAddress(dataDir, localUrl(config.host, port, certificate !== undefined)));
    const admin = adminApp({
      routes: open.map((protocol) => protocol.admin),
      serves: open.map(({ name }) => name),
      limits: () => ({ sharedAddresses: limits.addresses.shared(), refused: limits.bounds.counts() }),
    });
    const channel = openChannel(dataDir, (request) => admin.fetch(request));
    stack.defer(() => channel.close());
    blobs.start();
    stack.defer(maintenance.start({ databases: [...databases.values()], retentions }));
    for (const protocol of open) protocol.start();
    return {
      port,
      host: door.host,
      firstRun,
      protocols: new Map(
        on.map(({ protocol: { name, databases: specs } }) => [
          name,
          {
            firstRun: specs
              .map((spec) => databases.get(spec.name))
              .every((one) => one === undefined || isNew(one)),
          },
        ]),
      ),
      get certificate() {
        return certificate;
      },
      renewCertificate: async () => {
        door.renewTerms();
        const renewed = certificateOf(config);
        if (renewed === undefined || Bun.deepEquals(renewed, certificate)) return undefined;
        certificate = renewed;
        await door.renew(renewed);
        return renewed;
      },
      failed: failed.promise,
      deadly: () =>
        [...databases.values()].map((one) => one.deadly()).find((sentence) => sentence !== undefined),
      stop: () => stack.unwind(),
    };
  } catch (error) {
    await stack.unwind();
    throw error;
  }
}

/** The server's own port with everything, and those that protocols have beside it. */
function listenersOf(
  port: number,
  open: readonly OpenProtocol[],
  watching: readonly Served[],
  log: Logger,
): [ListenerOptions, ...ListenerOptions[]] {
  const everybody = open.map(({ name, frontPage }) => ({ protocol: name, share: frontPage ?? {} }));
  const main = { port, served: [...open, ...watching, new FrontPage(everybody, log).served()] };
  const further = open.flatMap(({ name, listeners = [] }) =>
    listeners.map((listener) => {
      const served = open.filter((one) => one.name === name || listener.with?.includes(one.name));
      const page = new FrontPage([{ protocol: name, share: listener.frontPage }], log);
      const { port, host, tls } = listener;
      return { port, host, tls, served: [...served, page.served()] };
    }),
  );
  return [main, ...further];
}

/** Stops in the reverse order of the starts. One part that cannot be stopped does not keep the others running. */
class Stack {
  readonly #stack = new AsyncDisposableStack();

  constructor(private readonly log: Logger) {}

  defer(stop: () => unknown): void {
    this.#stack.defer(async () => {
      try {
        await stop();
      } catch (error) {
        this.log.error({ err: error }, "a part could not be stopped cleanly");
      }
    });
  }

  unwind(): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

interface Settled<C extends HouseConfig> {
  readonly protocol: ProtocolManifest<C>;
  readonly places: readonly PlacedDatabase[];
}

/**
 * Those that can have their place, with their folders locked. Who was asked for in words and cannot, ends the start; the server goes on
 * without the others, which says why.
 */
async function settled<C extends HouseConfig>(
  asked: readonly ProtocolManifest<C>[],
  { config, stack, log }: { config: C; stack: Stack; log: Logger },
): Promise<Settled<C>[]> {
  const on: Settled<C>[] = [];
  for (const protocol of asked) {
    const places = placesOf(protocol, config);
    try {
      await protocol.look?.(config);
      makeHomes(places);
      const lock = lockHomes(places);
      stack.defer(() => lock.release());
      on.push({ protocol, places });
    } catch (error) {
      if (protocol.isAskedFor?.(config) !== false || !(error instanceof Error)) throw error;
      log.warn({ protocol: protocol.name }, `${error.message} The server goes on without ${protocol.name}.`);
    }
  }
  return on;
}

/** Names of those that have one there. */
async function webAppsAtRoot<C extends HouseConfig>(
  on: readonly Settled<C>[],
  config: C,
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { protocol } of on)
    if ((await protocol.webAppAtRoot?.(config)) !== undefined) names.push(protocol.name);
  return names;
}

/** No folder that everybody may read holds private data of any protocol. */
function refusePublic<C extends HouseConfig>(asked: readonly ProtocolManifest<C>[], config: C): void {
  const folders = asked.flatMap((protocol) => placesOf(protocol, config).map(({ folder }) => folder));
  const served = asked.flatMap((protocol) => protocol.publicFolders?.(config) ?? []);
  for (const folder of new Set([config.dataDir, ...folders]))
    for (const one of served) refusePublicData(folder, one);
}

/** What the secret opens, where there is any: a new one is refused then. */
function sealedBySecret(
  on: readonly { readonly places: readonly PlacedDatabase[] }[],
  databases: ReadonlyMap<string, Database>,
): Sealed | undefined {
  return on
    .flatMap(({ places }) => places.map(({ spec }) => spec))
    .find(({ name, sealed }) => sealed !== undefined && databases.get(name)?.holds(sealed.sql))?.sealed;
}

/** On by its port, or by the original's switch with the original's port (HTTP contract 3.5). */
function pagesPortOf({ metricsEnabled, metricsPort }: OpsConfig): number | undefined {
  if (metricsEnabled === false) return undefined;
  return metricsPort ?? (metricsEnabled === true ? 9090 : undefined);
}

function certificateOf({ tlsCert: cert, tlsKey: key }: ServerConfig): Certificate | undefined {
  return cert === undefined || key === undefined ? undefined : readCertificate({ cert, key });
}
