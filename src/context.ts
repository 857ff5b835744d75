// The only composition root: builds every long-lived part from the configuration, starts and stops them in order.
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { adminApp } from "./admin/app.ts";
import { baseUrl } from "./admin/base-url.ts";
import { openChannel } from "./admin/channel.ts";
import { openCluster } from "./bus/cluster.ts";
import { loadMasterSecret } from "./config/secrets.ts";
import type { Config } from "./config/settings.ts";
import { framesOn } from "./frames/switch.ts";
import { migrations as happyMigrations, happyProtocol, hasAccounts } from "./happy/index.ts";
import { recountAttachments } from "./happy/store/attachment-sizes.ts";
import { newestMoment, sessionOwners } from "./happy/store/retention.ts";
import { FrontPage } from "./http/front-page.ts";
import { openLimits } from "./limits/limits.ts";
import { ValueSizes } from "./limits/value-sizes.ts";
import { reportLog } from "./observability/log.ts";
import { Metrics } from "./observability/metrics.ts";
import { reportConnections } from "./ops/connection-metrics.ts";
import { type Check, openPagesPort, type PagesPort, pages } from "./ops/pages.ts";
import { reportProcess } from "./ops/process-metrics.ts";
import { Requests } from "./ops/requests.ts";
import { reportDatabase, reportFolder } from "./ops/storage-metrics.ts";
import type { FilesFound } from "./retention/blob-sweep.ts";
import { RetentionClock } from "./retention/clock.ts";
import { Maintenance } from "./retention/maintenance.ts";
import { type Certificate, readCertificate } from "./server/certificate.ts";
import { parseRanges } from "./server/client-address.ts";
import { type FrontDoor, openFrontDoor } from "./server/front-door.ts";
import { localUrl, publishOwnAddress } from "./server/own-address.ts";
import type { Served } from "./server/served.ts";
import { SocketIoPaths } from "./server/socket-io.ts";
import { AccountBounds } from "./storage/account-bounds.ts";
import { type Database, openDatabase } from "./storage/database.ts";
import { lockFolder } from "./storage/lock.ts";
import { openBlobs } from "./storage/open-blobs.ts";
import { refusePublicData } from "./storage/private-folder.ts";
import { Quota } from "./storage/quota.ts";
import { topicsOn } from "./topics/switch.ts";

export interface RunningServer {
  readonly port: number;
  readonly host: string;
  /** True on the very first start in this data folder. */
  readonly firstRun: boolean;
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

/** In-flight requests get this long at a stop. */
const FINISH_MS = 3_000;

/** @throws StorageError, or the system's error for the folder or the port; whatever was opened is closed again. */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  refusePublicData(config);
  let certificate = certificateOf(config);
  const lock = lockFolder(config.dataDir);
  const undo: (() => Promise<void> | void)[] = [() => lock.release()];
  try {
    const metrics = new Metrics();
    undo.unshift(reportProcess(metrics));
    reportLog(metrics, log);
    const limits = openLimits({ config, metrics, log: log.child({ area: "limits" }) });
    const checks: Check[] = [];
    const failed = Promise.withResolvers<Error>();
    const opened: Database[] = [];
    const watch = (name: string, watched: Database) => {
      opened.push(watched);
      reportDatabase(metrics, name, watched);
      checks.push({ name, run: () => watched.check() });
      void watched.lost.then(failed.resolve);
    };
    const path = join(config.dataDir, "happy.db");
    const storageLog = log.child({ area: "storage" });
    const accountBounds = new AccountBounds({
      limits: () => ({
        bytes: config.maxAccountBytes,
        machines: config.maxAccountMachines,
        accessKeys: config.maxAccountAccessKeys,
      }),
      refused: (name, facts) => limits.bounds.refused(name, facts),
    });
    const quota = new Quota(() => config.maxStorageBytes, accountBounds);
    const sizes = new ValueSizes(() => ({
      metadata: config.maxMetadataBytes,
      state: config.maxStateBytes,
      content: config.maxContentBytes,
    }));
    const maintenance = new Maintenance({ config, quota, log: storageLog });
    const database = openDatabase({ path, migrations: happyMigrations, log: storageLog, quota, sizes });
    undo.unshift(() => database.close());
    chmodSync(path, 0o600);
    watch("happy", database);
    // Before anything is stored with the time of this start.
    const { dataDir } = config;
    const clock = new RetentionClock({
      dataDir,
      name: "happy",
      newest: (now) => newestMoment(database.reads, now),
    });
    clock.begin();
    const secret = loadMasterSecret(config, { hasAccounts: hasAccounts(database) });
    if (database.migration.snapshot !== undefined) {
      log.info(
        { snapshot: database.migration.snapshot },
        "the database was brought up to date; the old file is kept",
      );
    }
    const blobs = maintenance.metered(openBlobs(config, storageLog));
    undo.unshift(() => blobs.stop());
    if (config.s3Host === undefined) reportFolder(metrics, join(config.dataDir, "files"));
    const cluster = await openCluster(config, metrics, log.child({ area: "bus" }));
    if (cluster !== undefined) undo.unshift(() => cluster.bus.close());
    const serverLog = log.child({ area: "server" });
    const sockets = new SocketIoPaths({ limits, log: serverLog });
    const happy = happyProtocol({
      config,
      masterSecret: secret.value,
      database,
      blobs,
      metrics,
      limits,
      sockets,
      cluster,
      log: log.child({ area: "happy" }),
    });
    const protocols: (Served & { start(): void; stop(): Promise<void> })[] = [happy];
    const databases = [database];
    if (topicsOn(config)) {
      // Loaded only here: switched off, a room costs nothing.
      const { newestEventAt, openTopicsDatabase, topicsProtocol } = await import("./topics/index.ts");
      const topicsLog = log.child({ area: "topics" });
      const topicsDatabase = openTopicsDatabase(config.dataDir, topicsLog, quota);
      undo.unshift(() => topicsDatabase.close());
      databases.push(topicsDatabase);
      watch("topics", topicsDatabase);
      const topicsClock = new RetentionClock({
        dataDir,
        name: "topics",
        newest: (now) => newestEventAt(topicsDatabase.reads, now),
      });
      topicsClock.begin();
      const parts = {
        config,
        masterSecret: secret.value,
        database: topicsDatabase,
        metrics,
        limits,
        sockets,
        cluster,
        log: topicsLog,
        clock: topicsClock,
      };
      protocols.push((await topicsProtocol(parts)).protocol);
    }
    if (framesOn(config)) {
      const { framesProtocol } = await import("./frames/index.ts");
      const framesLog = log.child({ area: "frames" });
      const masterSecret = secret.value;
      protocols.push(framesProtocol({ config, masterSecret, metrics, limits, cluster, log: framesLog }));
    }
    const watched = {
      metrics,
      checks,
      token: config.metricsEnabled === false ? undefined : config.metricsToken,
      log: serverLog,
    };
    const frontPage = new FrontPage([{ protocol: happy.name, share: happy.frontPage }], serverLog);
    const requests = new Requests(metrics, serverLog);
    let port: PagesPort | undefined;
    const door: FrontDoor = openFrontDoor({
      host: config.host,
      listeners: [{ port: config.port, served: [...protocols, ...pages(watched), frontPage.served()] }],
      shared: sockets.open(),
      trustedProxies: parseRanges(config.trustedProxies),
      certificate,
      limits,
      log: serverLog,
      connections: {
        maxPerAddress: () => config.maxConnectionsPerAddress,
        otherPorts: () => (port === undefined ? [] : [port.port]),
      },
      finished: (...facts) => requests.finished(...facts),
    });
    const closeDoor = () => door.close(FINISH_MS);
    undo.unshift(closeDoor);
    metrics
      .gauge("roost_socket_queued_bytes", "Bytes that wait for slow sockets")
      .report(() => door.queuedBytes());
    reportConnections(metrics, door);
    const metricsPort = pagesPortOf(config);
    port = metricsPort === undefined ? undefined : openPagesPort(config.host, metricsPort, watched);
    undo.unshift(() => port?.stop());
    const url = localUrl(config.host, door.port, certificate !== undefined);
    undo.unshift(publishOwnAddress(config.dataDir, url));
    const admin = adminApp({
      administration: happy.administration,
      baseUrl: () => baseUrl({ ...config, port: door.port }),
      registration: () => config.registration,
      limits: () => ({
        sharedAddresses: limits.addresses.shared(),
        refused: limits.bounds.counts(),
      }),
    });
    const channel = openChannel(config.dataDir, (request) => admin.fetch(request));
    undo.unshift(() => channel.close());
    blobs.start();
    const { forgetOld } = happy;
    const ownerOf = sessionOwners(database.reads, undefined);
    const counted = (session: string, found: FilesFound) => recountAttachments(database, session, found);
    undo.unshift(maintenance.start({ databases, clock, forgetOld, ownerOf, counted }));
    for (const protocol of protocols) {
      protocol.start();
      // Runs after the door is closed, before the database is.
      undo.splice(undo.indexOf(closeDoor) + 1, 0, () => protocol.stop());
    }
    return {
      port: door.port,
      host: door.host,
      firstRun: database.migration.from === 0,
      get certificate() {
        return certificate;
      },
      renewCertificate: async () => {
        const renewed = certificateOf(config);
        if (renewed === undefined || Bun.deepEquals(renewed, certificate)) return undefined;
        certificate = renewed;
        await door.renew(renewed);
        return renewed;
      },
      failed: failed.promise,
      deadly: () => opened.map((one) => one.deadly()).find((sentence) => sentence !== undefined),
      stop: () => unwind(undo, log),
    };
  } catch (error) {
    await unwind(undo, log);
    throw error;
  }
}

/** On by its port, or by the original's switch with the original's port (HTTP contract 3.5). */
function pagesPortOf({ metricsEnabled, metricsPort }: Config): number | undefined {
  if (metricsEnabled === false) return undefined;
  return metricsPort ?? (metricsEnabled === true ? 9090 : undefined);
}

function certificateOf({ tlsCert: cert, tlsKey: key }: Config): Certificate | undefined {
  return cert === undefined || key === undefined ? undefined : readCertificate({ cert, key });
}

async function unwind(steps: (() => Promise<void> | void)[], log: Logger): Promise<void> {
  for (const step of steps.splice(0)) {
    try {
      await step();
    } catch (error) {
      log.error({ err: error }, "a part could not be stopped cleanly");
    }
  }
}
