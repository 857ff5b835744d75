// The banner that the app looks for, and the health check (HTTP contract 3.1, 3.2).
import { endpoint, json, plain } from "./kit/endpoint.ts";

/** Load-bearing: the app refuses to save a server whose answer does not contain it. */
export const BANNER = "Welcome to Happy Server!";

/** Beside a web app the banner still answers whoever does not ask for a page: fix 20.8. */
export const banner = endpoint({ method: "GET", path: "/", auth: "none" }, ({ context, request, facts }) => {
  const wantsPage = request.headers.get("accept")?.toLowerCase().includes("text/html") === true;
  return context.webApp !== undefined && wantsPage ? context.webApp.page(request, facts) : plain(BANNER);
});

export const health = endpoint({ method: "GET", path: "/health", auth: "none" }, async ({ context }) => {
  const facts = { timestamp: new Date().toISOString(), service: "happy-server" };
  try {
    await context.store.answers();
    return json({ status: "ok", ...facts });
  } catch (error) {
    context.log.error({ err: error }, "the database does not answer");
    return json({ status: "error", ...facts, error: "Database connectivity failed" }, 503);
  }
});
