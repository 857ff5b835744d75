// Settings of the frames hub alone. `legacy` names the hub's own variables and keys. Whether the hub is on and asks for tokens is
// decided from them in switch.ts.
import { z } from "zod";
import { duration } from "../config/duration.ts";
import { type Setting, setting, type Values } from "../config/setting.ts";
import { flag, list, listenAddress, text, urlPath, whole } from "../config/values.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";

const HOUR = 3_600_000;
const MIB = 1024 * 1024;
const live = { live: true } as const;

/** The hub's own variable for a key: `server.ws_path` -> `GOHUB_SERVER_WS_PATH`. Keys that once stood under `server.hub` keep it. */
const hubKey = (key: string, ...aliases: string[]) => ({
  legacy: [key, ...aliases].map((name) => `GOHUB_${name.toUpperCase().replaceAll(".", "_")}`),
});
const hubServerKey = (name: string) => hubKey(`server.${name}`, `server.hub.${name}`);

export const framesSettings = {
  framesEnabled: setting(
    flag().optional(),
    "serve the frames hub, with tokens unless set otherwise (on by itself when one of its own keys or GOHUB_* variables is given)",
  ),
  framesOrigins: setting(
    list().optional(),
    "origins of web pages that may connect to the frames hub, comma-separated, * for all; without it this server's own, and any page that has a token",
  ),
  framesHubEnabled: setting(
    flag().optional(),
    "another name of frames-enabled; as the hub's own key or variable it keeps the hub's defaults, which ask for no token",
    { was: ["hubEnabled"], ...hubKey("hub.enabled") },
  ),
  framesServerAddr: setting(
    listenAddress().optional(),
    "host:port to listen on, as the frames hub writes it; host and port win where they are given",
    { was: ["serverAddr"], ...hubKey("server.addr") },
  ),
  framesServerWsPath: setting(urlPath().default("/ws"), "path of the frames hub", {
    was: ["serverWsPath"],
    ...hubServerKey("ws_path"),
  }),
  framesServerReadTimeout: setting(
    duration(100, 24 * HOUR).prefault("3m"),
    "silence after which a client of the frames hub is disconnected",
    { was: ["serverReadTimeout"], ...hubServerKey("read_timeout"), live: true },
  ),
  framesServerWriteTimeout: setting(
    duration(10, 24 * HOUR).prefault("3m"),
    "time in which a client of the frames hub must take a frame",
    { was: ["serverWriteTimeout"], ...hubServerKey("write_timeout"), live: true },
  ),
  framesServerReadBufferSize: setting(
    whole(1, 1_000_000).default(4_096),
    "largest message from a client of the frames hub, in bytes",
    { was: ["serverReadBufferSize"], ...hubServerKey("read_buffer_size") },
  ),
  framesServerWriteBufferSize: setting(
    whole(0, 2 ** 30).default(4_096),
    "accepted so that old configurations work; has no effect",
    { was: ["serverWriteBufferSize"], ...hubServerKey("write_buffer_size") },
  ),
  framesServerMessageBufferCap: setting(
    whole(1, 1_000_000).default(256),
    "frames that may wait for one client of the frames hub",
    { was: ["serverMessageBufferCap"], ...hubServerKey("message_buffer_cap") },
  ),
  framesServerAllowedOrigins: setting(
    list().optional(),
    "as frames-origins, which wins, under the hub's own name",
    { was: ["serverAllowedOrigins"], ...hubServerKey("allowed_origins") },
  ),
  framesHubServerPing: setting(
    flag().default(true),
    "ping silent clients of the frames hub; without it only their own frames count as life",
    { was: ["hubServerPing"], ...hubKey("hub.server_ping") },
  ),
  framesHubErrorReplies: setting(
    flag().default(true),
    "answer unreadable and unknown messages to the frames hub with an error",
    { was: ["hubErrorReplies"], ...hubKey("hub.error_replies") },
  ),
  framesHubOnFull: setting(
    z.enum(["error", "disconnect"]).default("error"),
    "what happens to a client of the frames hub whose queue is full",
    { was: ["hubOnFull"], ...hubKey("hub.on_full"), live: true },
  ),
  framesHubPresence: setting(
    flag().default(false),
    "tell the other nodes which clients are here, so that a message to nobody is an error",
    { was: ["hubPresence"], ...hubKey("hub.presence") },
  ),
  framesHubAutoCreateRooms: setting(
    flag().default(false),
    "make a room of the frames hub when somebody joins it",
    { was: ["hubAutoCreateRooms"], ...hubKey("hub.auto_create_rooms") },
  ),
  framesHubMaxClients: setting(
    whole(1, 1_000_000).default(10_000),
    "clients of the frames hub on this node at one time",
    { was: ["hubMaxClients"], ...hubKey("hub.max_clients") },
  ),
  framesHubHealthPath: setting(urlPath().default("/ws/health"), "path of the frames hub's health check", {
    was: ["hubHealthPath"],
    ...hubKey("hub.health_path"),
  }),
  framesAuthEnabled: setting(
    flag().optional(),
    "ask clients of the frames hub for a token; true, unless the hub is on by its own keys or variables only",
    { was: ["authEnabled"], ...hubKey("auth.enabled") },
  ),
  framesAuthAllowAnonymous: setting(
    flag().optional(),
    "let clients of the frames hub in without a token also when tokens are asked for; false, unless the hub is on by its own keys or variables only",
    { was: ["authAllowAnonymous"], ...hubKey("auth.allow_anonymous") },
  ),
  framesAuthSecretKey: setting(
    text().optional(),
    "secret that signs the tokens of the frames hub (HS256); derived from the master secret when absent, unless frames-auth-enabled is given",
    { was: ["authSecretKey"], ...hubKey("auth.secret_key"), secret: true },
  ),
  framesAuthIssuer: setting(text().default("gohub"), "issuer of the tokens of the frames hub", {
    was: ["authIssuer"],
    ...hubKey("auth.issuer"),
  }),
  framesAuthAnonymousPermissions: setting(
    list().default([]),
    "what clients without a token may do when tokens are asked for, comma-separated",
    { was: ["authAnonymousPermissions"], ...hubKey("auth.anonymous_permissions") },
  ),
  framesAuthCloseOnExpiry: setting(
    flag().default(true),
    "disconnect a client of the frames hub when its token expires",
    { was: ["authCloseOnExpiry"], ...hubKey("auth.close_on_expiry") },
  ),
  framesMaxQueuedBytes: setting(
    whole(MIB, 2 ** 36).default(64 * MIB),
    "bytes that may wait in the frames hub for all its clients together; above it the slowest readers are closed first",
    live,
  ),
  framesMaxClientsPerAddress: setting(
    whole(0, 1_000_000).default(2_000),
    "clients of the frames hub without a token from one address (IPv6: one /64), or with tokens of one identity (0 for no limit)",
    live,
  ),
  framesMaxConnectionsPerSecond: setting(
    whole(0, 1_000_000).default(200),
    "connections to the frames hub that one address or identity may begin in a second, five times as many at once (0 for no limit)",
    live,
  ),
  framesMaxMessagesPerSecond: setting(
    whole(0, 1_000_000).default(2_000),
    "messages to the frames hub from one address or identity in a second, five times as many at once, half of it from one connection (0 for no limit)",
    live,
  ),
} as const satisfies Record<string, Setting>;

export type FramesConfig = HouseConfig & Values<typeof framesSettings>;

/** The hub's own variables for settings that all protocols share. */
export const hubVariables = {
  logLevel: hubKey("log.level").legacy,
  logFormat: hubKey("log.format").legacy,
  clusterBusTimeout: hubServerKey("bus_timeout").legacy,
  clusterEnabled: hubKey("cluster.enabled").legacy,
  clusterBusType: hubKey("cluster.bus_type").legacy,
  clusterEtcdEndpoints: hubKey("cluster.etcd.endpoints").legacy,
  clusterEtcdDialTimeout: hubKey("cluster.etcd.dial_timeout").legacy,
  clusterEtcdKeyPrefix: hubKey("cluster.etcd.key_prefix").legacy,
  clusterEtcdLeaseTtl: hubKey("cluster.etcd.lease_ttl").legacy,
  clusterEtcdUsername: hubKey("cluster.etcd.username").legacy,
  clusterEtcdPassword: hubKey("cluster.etcd.password").legacy,
  clusterEtcdTlsCa: hubKey("cluster.etcd.tls.ca").legacy,
  clusterEtcdTlsCert: hubKey("cluster.etcd.tls.cert").legacy,
  clusterEtcdTlsKey: hubKey("cluster.etcd.tls.key").legacy,
} as const;
