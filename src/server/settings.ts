// Settings of the front door: where it listens, what certificate it shows, whose word it takes for an address.
import type { Settle } from "../config/catalogue.ts";
import { flagName, type Setting, setting, type Values } from "../config/setting.ts";
import { UsageError } from "../config/usage.ts";
import { addressRanges, port, text, url } from "../config/values.ts";

export const serverSettings = {
  port: setting(port().default(3005), "TCP port to listen on (0 picks a free one)", { legacy: ["PORT"] }),
  host: setting(text().default("0.0.0.0"), "address to listen on", { legacy: ["HOST"] }),
  tlsCert: setting(
    text().optional(),
    "PEM file of the certificate and its chain; with it the server speaks HTTPS, and follows the file when it changes",
  ),
  tlsKey: setting(text().optional(), "PEM file of the certificate's private key"),
  trustedProxies: setting(
    addressRanges().prefault("loopback"),
    "addresses of reverse proxies whose X-Forwarded headers are believed: addresses, ranges, loopback, private or none",
  ),
  publicUrl: setting(url().optional(), "address under which clients reach this server from outside", {
    legacy: ["PUBLIC_URL"],
  }),
} as const satisfies Record<string, Setting>;

export type ServerConfig = Values<typeof serverSettings>;

/** A certificate without its key, or a key without its certificate. */
export const refuseHalfTls: Settle = (config, given) => {
  for (const [one, other] of [
    ["tlsCert", "tlsKey"],
    ["tlsKey", "tlsCert"],
  ] as const)
    if (config[one] !== undefined && config[other] === undefined)
      throw new UsageError(`${given[one]?.source} needs ${flagName(other)} beside it.`);
  return [];
};
