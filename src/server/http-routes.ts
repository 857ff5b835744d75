// Which claim answers a path: an exact one before every prefix, then the longest prefix. No two protocols claim the same.
import type { Fetch, Served } from "./served.ts";

/** @throws Error with a sentence that names both, where two claim the same. */
export function httpRoutes(served: readonly Served[]): (path: string) => Fetch | undefined {
  const exact = new Map<string, Claimed>();
  const byPrefix = new Map<string, Claimed>();
  for (const { name, http } of served) {
    for (const { paths = [], prefixes = [], fetch } of http) {
      for (const path of paths) claim(exact, path, { name, fetch }, "path");
      for (const prefix of prefixes) claim(byPrefix, prefix, { name, fetch }, "prefix");
    }
  }
  const longestFirst = [...byPrefix]
    .map(([prefix, { fetch }]) => ({ prefix, below: prefix.endsWith("/") ? prefix : `${prefix}/`, fetch }))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return (path) => {
    const found = exact.get(path);
    if (found !== undefined) return found.fetch;
    for (const { prefix, below, fetch } of longestFirst)
      if (path === prefix || path.startsWith(below)) return fetch;
    return undefined;
  };
}

interface Claimed {
  readonly name: string;
  readonly fetch: Fetch;
}

function claim(claims: Map<string, Claimed>, key: string, claimed: Claimed, what: "path" | "prefix"): void {
  const other = claims.get(key);
  if (other !== undefined)
    throw new Error(`Both ${other.name} and ${claimed.name} claim the ${what} ${key}.`);
  claims.set(key, claimed);
}

/**
 * Pathname of a request's URL, without building a URL object; doubled slashes count as one, because clients join a base that ends
 * in one. HTTP/1.0 without a Host header has no authority before it.
 */
export function pathOf(url: string): string {
  const authority = url.indexOf("://");
  const start = authority < 0 ? 0 : url.indexOf("/", authority + 3);
  if (start < 0) return "/";
  const query = url.indexOf("?", start);
  const path = query < 0 ? url.slice(start) : url.slice(start, query);
  return path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
}
