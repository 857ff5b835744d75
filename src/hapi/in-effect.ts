// What holds for a running hub: what was given to this server, else what its home says, else a default (data contract, 8: environment,
// then file, then default).
import type { KnownSettings } from "./home/known-settings.ts";
import type { HapiConfig } from "./settings.ts";

/** Where a CLI without settings looks for its hub. */
export const USUAL_PORT = 3006;

export interface InEffect {
  /** The listener of its own; undefined: only the server's. */
  readonly listener: { readonly port: number; readonly host: string | undefined } | undefined;
  /** Of web pages, without a slash at its end; undefined: nobody said. */
  readonly publicUrl: string | undefined;
  /** Of pages from elsewhere; the public address and the server's own are allowed beside them. */
  readonly corsOrigins: readonly string[];
  readonly telegramBotToken: string | undefined;
  readonly telegramNotification: boolean;
  /** Undefined: nobody is told by it. */
  readonly serverChan: { readonly sendKey: string; readonly backgroundOnly: boolean } | undefined;
}

export function inEffect(config: HapiConfig, home: KnownSettings): InEffect {
  return {
    listener: listenerOf(config, home),
    publicUrl: (config.hapiPublicUrl ?? home.publicUrl ?? config.publicUrl)?.replace(/\/+$/, ""),
    corsOrigins: (config.hapiCorsOrigins ?? home.corsOrigins ?? []).map(originOf),
    telegramBotToken: config.hapiTelegramBotToken ?? home.telegramBotToken,
    telegramNotification: config.hapiTelegramNotification ?? home.telegramNotification ?? true,
    serverChan: serverChanOf(config, home),
  };
}

/** As browsers write it, whatever else an entry says: its path, its own port, capitals. Apps have schemes that have no origin. */
function originOf(entry: string): string {
  const origin = URL.parse(entry)?.origin;
  return origin === undefined || origin === "null" ? entry.replace(/\/+$/, "") : origin;
}

function serverChanOf(config: HapiConfig, home: KnownSettings): InEffect["serverChan"] {
  const sendKey = config.hapiServerchanKey ?? home.serverChanSendKey;
  if (sendKey === undefined) return undefined;
  if (!(config.hapiServerchanNotification ?? home.serverChanNotification ?? true)) return undefined;
  return {
    sendKey,
    backgroundOnly: config.hapiServerchanBackgroundOnly ?? home.serverChanBackgroundOnly ?? false,
  };
}

/** Who takes over a home has clients that know its port. The server's own port serves it anyway. */
function listenerOf(config: HapiConfig, home: KnownSettings): InEffect["listener"] {
  const { hapiHome, hapiPort: given } = config;
  const port = given ?? home.listenPort ?? (hapiHome === undefined ? "none" : USUAL_PORT);
  if (port === "none" || (port !== 0 && port === config.port)) return undefined;
  return { port, host: config.hapiHost ?? home.listenHost };
}
