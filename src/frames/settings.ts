// What the hub needs to know from the configuration. The deadlines and the answer to a full queue are read at the time of use, because
// they may change while the server runs; clients that are connected keep the deadlines they came with.
import { UsageError } from "../config/env.ts";
import type { Config } from "../config/settings.ts";

export interface HubSettings {
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
  readonly auth: AuthSettings | undefined;
  readonly closeOnExpiry: boolean;
}

/** Undefined in HubSettings: nobody is asked for a token. */
export interface AuthSettings {
  readonly secret: string;
  readonly issuer: string;
  readonly allowAnonymous: boolean;
  readonly anonymousPermissions: readonly string[];
}

/** @throws UsageError when tokens are asked for without a secret to check them with. */
export function hubSettings(config: Config): HubSettings {
  return {
    get readTimeoutMs() {
      return config.serverReadTimeout;
    },
    get writeTimeoutMs() {
      return config.serverWriteTimeout;
    },
    readBufferSize: config.serverReadBufferSize,
    messageBufferCap: config.serverMessageBufferCap,
    serverPing: config.hubServerPing,
    errorReplies: config.hubErrorReplies,
    get onFull() {
      return config.hubOnFull;
    },
    presence: config.hubPresence,
    autoCreateRooms: config.hubAutoCreateRooms,
    maxClients: config.hubMaxClients,
    auth: authSettings(config),
    closeOnExpiry: config.authCloseOnExpiry,
  };
}

function authSettings(config: Config): AuthSettings | undefined {
  if (!config.authEnabled) return undefined;
  if (config.authSecretKey === undefined)
    throw new UsageError("The frames hub asks for tokens (--auth-enabled), so it needs --auth-secret-key.");
  return {
    secret: config.authSecretKey,
    issuer: config.authIssuer,
    allowAnonymous: config.authAllowAnonymous,
    anonymousPermissions: config.authAnonymousPermissions,
  };
}
