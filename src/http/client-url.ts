// The address under which a client reaches this server, for addresses that are given back to it (HTTP contract 7.1).
//
// Clients send their token to such an address only when it begins with the server address that they were given, letter by letter. So
// the address that the client used wins, which is what it put into `Host` or a trusted proxy into `X-Forwarded-Host`. PUBLIC_URL
// says what `Host` cannot: the scheme and path that a proxy in front took away, and the port that it left out. It is taken when its
// host is the one that the client used, and when a proxy replaced `Host` by a loopback address, which no client behind it can reach.

import type { RequestFacts } from "../server/request-facts.ts";
import type { ServerConfig } from "../server/settings.ts";

/** Without a slash at its end. */
export function clientUrl(
  request: Request,
  facts: Pick<RequestFacts, "trustedProxy" | "isSecure">,
  { publicUrl, port }: Pick<ServerConfig, "publicUrl" | "port">,
): string {
  const { headers } = request;
  const forwarded = (name: string) => (facts.trustedProxy ? first(headers.get(name)) : undefined);
  const publicBase = publicUrl?.replace(/\/+$/, "");
  const forwardedHost = authorityOf(forwarded("x-forwarded-host"));
  const host = forwardedHost ?? authorityOf(headers.get("host") ?? undefined);
  if (host === undefined) return publicBase ?? `http://localhost:${port}`;
  const scheme = schemeOf(forwarded("x-forwarded-proto"));
  if (publicBase !== undefined) {
    if (isSamePlace(publicBase, host, scheme)) return publicBase;
    const replaced = forwardedHost === undefined && facts.trustedProxy && isProxied(headers);
    if (replaced && isLoopback(host)) return publicBase;
  }
  return `${scheme ?? (facts.isSecure ? "https" : "http")}://${host}`;
}

/** Chains of proxies append: the first is the one that the client spoke to. */
function first(list: string | null): string | undefined {
  return list?.split(",")[0]?.trim() || undefined;
}

/** A host with an optional port, else nothing: whatever else stands in the header must not get into an address. */
function authorityOf(value: string | undefined): string | undefined {
  return value !== undefined && /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(value)
    ? value
    : undefined;
}

function schemeOf(value: string | undefined): "http" | "https" | undefined {
  const scheme = value?.toLowerCase();
  return scheme === "http" || scheme === "https" ? scheme : undefined;
}

function isSamePlace(publicBase: string, host: string, scheme: "http" | "https" | undefined): boolean {
  const known = URL.parse(publicBase);
  const used = URL.parse(`${known?.protocol}//${host}`);
  if (known === null || used === null) return false;
  if (scheme !== undefined && `${scheme}:` !== known.protocol) return false;
  return used.host === known.host || (used.hostname === known.hostname && !/:\d+$/.test(host));
}

function isProxied(headers: Headers): boolean {
  return ["x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded", "via"].some((name) =>
    headers.has(name),
  );
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/i.test(host);
}
