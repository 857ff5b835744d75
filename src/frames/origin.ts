// Which web pages may connect without a token. A page names its origin by itself and cannot lie about it, but it can be served under a
// name that its owner points at this server (DNS rebinding): a name that is only claimed by the request is not this server's own.
import { isIP } from "node:net";

export interface OwnNames {
  /** Under which clients reach this server, when it was configured. */
  readonly publicUrl: string | undefined;
}

export interface OriginFacts {
  readonly headers: Headers;
  /** The request came through a proxy that is trusted to name its client. */
  readonly trustedProxy: boolean;
  /** It came through TLS: only what stands in the listener's certificate gets this far. */
  readonly isSecure: boolean;
}

/** True also without an origin: no web page asks then. An opaque one ("null") is a page's, but not this server's. */
export function isOwnOrigin(
  { headers, trustedProxy, isSecure }: OriginFacts,
  { publicUrl }: OwnNames,
): boolean {
  const origin = headers.get("origin");
  if (origin === null) return true;
  const page = URL.parse(origin);
  if (page === null || (page.protocol !== "http:" && page.protocol !== "https:")) return false;
  if (publicUrl !== undefined && URL.parse(publicUrl)?.host === page.host) return true;
  const proxied = trustedProxy && headers.has("x-forwarded-for");
  const asked = (proxied && lastOf(headers.get("x-forwarded-host"))) || headers.get("host");
  // The page's own scheme: a proxy may speak another one with this server than with the browser.
  if (asked === null || URL.parse(`${page.protocol}//${asked}`)?.host !== page.host) return false;
  return proxied || isSecure || cannotBePointedHere(page.hostname);
}

/** Addresses, and names that no name server of a stranger answers for. */
function cannotBePointedHere(hostname: string): boolean {
  if (hostname.startsWith("[") || isIP(hostname) !== 0) return true;
  return !hostname.includes(".") || /\.(localhost|local)$/.test(hostname);
}

const lastOf = (list: string | null): string | undefined => list?.split(",").at(-1)?.trim() || undefined;
