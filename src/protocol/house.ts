// What the house hands to a protocol when it opens it, and what it gets back. The house opens databases before and closes them after;
// a protocol never opens a port, a database or a folder itself.
import type { Hono } from "hono";
import type { Logger } from "pino";
import type { Cluster } from "../bus/cluster.ts";
import type { FrontPageShare } from "../http/front-page.ts";
import type { Limits } from "../limits/limits.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Check } from "../ops/pages.ts";
import type { RequestLabels } from "../ops/requests.ts";
import type { BlobOwners } from "../retention/blob-owners.ts";
import type { Retention } from "../retention/retention.ts";
import type { ListenerTls } from "../server/listener-door.ts";
import type { Served } from "../server/served.ts";
import type { SocketIoPaths } from "../server/socket-io.ts";
import type { BlobStore } from "../storage/blobs.ts";
import type { Database } from "../storage/database.ts";
import type { OfferedMethod } from "./offered-method.ts";

export interface House<C> {
  /** Settings that are live are read at the time of use. */
  readonly config: C;
  /** Of the data folder: secrets of a protocol are derived from it. */
  readonly masterSecret: string;
  /** One of the manifest's, open and up to date. */
  database(name: string): Database;
  /** Where that database lies, with what else is beside it in a folder of its own. */
  folder(name: string): string;
  /** Files of all protocols; each has a folder of its own below it. */
  readonly blobs: BlobStore;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Socket.IO paths: a protocol claims its namespaces there while it is being opened. */
  readonly sockets: SocketIoPaths;
  /** Undefined: this node is alone. */
  readonly cluster: Cluster | undefined;
  /** Whether another protocol has its web app at the root of the server's port. */
  readonly rootIsTaken: boolean;
  /** What the open protocols offer to those that call methods. Complete once the door is open. */
  offered(): readonly OfferedMethod[];
  /** The address that other devices reach this server at. Known once the door is open. */
  readonly baseUrl: () => string;
  /** With the protocol's name as its area. */
  readonly log: Logger;
}

/** Stopping is the reverse of opening: `stop` runs when the door is closed, before any database is. */
export interface OpenProtocol extends Served {
  /** What it says where no path is its own. */
  readonly frontPage?: FrontPageShare;
  /** Ports beside the server's own. */
  readonly listeners?: readonly OwnListener[];
  /** Begins timers and background work. The door is open by then. */
  start(): void;
  /** Ends background work and stores what is pending. No request arrives any more. */
  stop(): Promise<void>;
  /** For `/ready`, beside those of its databases. */
  readonly checks?: readonly Check[];
  /** What the figures of requests say beside route and status, of all protocols: the first that has a word counts. */
  readonly requestLabels?: RequestLabels;
  /** Routes of the admin channel. */
  readonly admin?: Hono;
  readonly retention?: Retention;
  readonly blobOwners?: BlobOwners;
  /** What it lets programs call, where a protocol of this server calls methods. */
  readonly methods?: readonly OfferedMethod[];
}

/** A port that serves this protocol, and others that it names, with a front page of its own. */
export interface OwnListener {
  /** 0 takes a free one. */
  readonly port: number;
  /** Address to listen on; the server's own when absent. */
  readonly host?: string | undefined;
  /** Other protocols served there, where they are on. */
  readonly with?: readonly string[];
  readonly frontPage: FrontPageShare;
  /** Speaks TLS on its own terms; absent: the server's certificate, or none. */
  readonly tls?: ListenerTls | undefined;
}
