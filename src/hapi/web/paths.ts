// Which paths are pages of the web app, and which never are, whatever a browser asks for (HTTP contract, H4).

/** Routes inside of the app, and what it loads: its page answers there, also for a file that is missing (E3). */
const PAGES = ["/sessions", "/settings", "/assets"];

/** Of other clients' servers at the same origin. What is served there is claimed; this is for where it is not. */
const OTHERS = [
  "/v1",
  "/v2",
  "/v3",
  "/files",
  "/health",
  "/ready",
  "/metrics",
  "/ws",
  "/admin",
  "/doctor",
  "/roost",
  "/i",
  "/start",
  "/socket.io",
  "/aduib_rpc",
  "/.well-known",
];

const isBelow = (path: string, prefixes: readonly string[]): boolean =>
  prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));

export const isAppsPage = (path: string): boolean => isBelow(path, PAGES);

export const isOthers = (path: string): boolean => path.startsWith("/api") || isBelow(path, OTHERS);
