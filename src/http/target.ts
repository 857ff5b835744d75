// Request targets as every protocol reads them: doubled slashes count as one, and what cannot be decoded is known before it is routed.
import { getPath } from "hono/utils/url";

/** Path and query: what follows scheme and authority, where there are any (HTTP/1.0 without a Host header has none). */
export function targetOf(url: string): string {
  const authority = url.indexOf("://");
  const start = authority < 0 ? 0 : url.indexOf("/", authority + 3);
  return start < 0 ? "/" : url.slice(start);
}

/** What Hono routes by (its option `getPath`): percent-decoded but for what would change its parts, and with single slashes. */
export const routedPath = (request: Request): string => collapseSlashes(getPath(request));

/** The target, when its path holds percent sequences that are no UTF-8: no route has a parameter for it. */
export function undecodableTarget(url: string): string | undefined {
  if (!url.includes("%")) return undefined;
  const target = targetOf(url);
  try {
    decodeURIComponent(target.split("?")[0] ?? "");
    return undefined;
  } catch {
    return target;
  }
}

/** Whether one of the path's parameters is longer than any that means something. */
export function hasLonger(params: Readonly<Record<string, string>>, maxLength: number): boolean {
  for (const name in params) if ((params[name]?.length ?? 0) > maxLength) return true;
  return false;
}

function collapseSlashes(path: string): string {
  return path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
}
