// What the hub needs to know from the configuration. The deadlines, the limits and the answer to a full queue are read at the time of
// use, because they may change while the server runs; clients that are connected keep the deadlines they came with.
import { hkdfSync } from "node:crypto";
import { UsageError } from "../config/env.ts";
import type { FramesConfig } from "./settings.ts";
import type { ShareSizes } from "./shares.ts";

export interface HubSettings extends ShareSizes {
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  /** Largest inbound message. */
  readonly readBufferSize: number;
  /** Frames that may wait for one client, beside the one in flight. */
  readonly messageBufferCap: number;
  readonly serverPing: boolean;
  readonly errorReplies: boolean;
  readonly onFull: "error" | "disconnect";
  readonly presence: boolean;
  readonly autoCreateRooms: boolean;
  readonly maxClients: number;
  /** Memory of all queues together. */
  readonly maxQueuedBytes: number;
  readonly auth: AuthSettings | undefined;
  readonly closeOnExpiry: boolean;
  /** Origins of web pages that may connect; undefined: this server's own, and any that has a token. */
  readonly origins: readonly string[] | undefined;
}

/** Undefined in HubSettings: nobody is asked for a token. */
export interface AuthSettings {
  readonly secret: string;
  readonly issuer: string;
  readonly allowAnonymous: boolean;
  readonly anonymousPermissions: readonly string[];
}

/** @throws UsageError when tokens are asked for without a secret to check them with. */
export function hubSettings(config: FramesConfig, masterSecret?: string): HubSettings {
  return {
    get readTimeoutMs() {
      return config.framesServerReadTimeout;
    },
    get writeTimeoutMs() {
      return config.framesServerWriteTimeout;
    },
    readBufferSize: config.framesServerReadBufferSize,
    messageBufferCap: config.framesServerMessageBufferCap,
    serverPing: config.framesHubServerPing,
    errorReplies: config.framesHubErrorReplies,
    get onFull() {
      return config.framesHubOnFull;
    },
    presence: config.framesHubPresence,
    autoCreateRooms: config.framesHubAutoCreateRooms,
    maxClients: config.framesHubMaxClients,
    get maxQueuedBytes() {
      return config.framesMaxQueuedBytes;
    },
    get maxClientsPerAddress() {
      return config.framesMaxClientsPerAddress;
    },
    get maxConnectionsPerSecond() {
      return config.framesMaxConnectionsPerSecond;
    },
    get maxMessagesPerSecond() {
      return config.framesMaxMessagesPerSecond;
    },
    auth: authSettings(config, masterSecret),
    closeOnExpiry: config.framesAuthCloseOnExpiry,
    origins: (config.framesOrigins ?? config.framesServerAllowedOrigins)?.map(asBrowsersWrite),
  };
}

/** An origin as a browser sends it, also when it was copied from an address bar. */
function asBrowsersWrite(origin: string): string {
  const written = URL.parse(origin)?.origin ?? "null";
  return written === "null" ? origin : written;
}

function authSettings(config: FramesConfig, masterSecret: string | undefined): AuthSettings | undefined {
  if (config.framesAuthEnabled === false) return undefined;
  return {
    secret: tokenSecret(config, masterSecret),
    issuer: config.framesAuthIssuer,
    allowAnonymous: config.framesAuthAllowAnonymous ?? false,
    anonymousPermissions: config.framesAuthAnonymousPermissions,
  };
}

/**
 * The secret of the hub's tokens. Whoever asks for tokens in words gives one, as always with this hub; where Roost asks by itself, it
 * is derived from the master secret, and of no use for anything else.
 * @throws UsageError when there is none.
 */
export function tokenSecret(
  {
    framesAuthSecretKey: authSecretKey,
    framesAuthEnabled: authEnabled,
  }: Pick<FramesConfig, "framesAuthSecretKey" | "framesAuthEnabled">,
  masterSecret: string | undefined,
): string {
  if (authSecretKey !== undefined) return authSecretKey;
  if (authEnabled === true || masterSecret === undefined)
    throw new UsageError(
      "The frames hub asks for tokens (--frames-auth-enabled), so it needs --frames-auth-secret-key, the secret that signs them.",
    );
  return Buffer.from(hkdfSync("sha256", masterSecret, "", "roost frames hub tokens", 32)).toString(
    "base64url",
  );
}
