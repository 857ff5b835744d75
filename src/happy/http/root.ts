// The banner that the app looks for, and the health check (HTTP contract 3.1, 3.2).
import { type HealthShare, healthPage, wantsPage } from "../../http/front-page.ts";
import type { HappyContext } from "../context.ts";
import { endpoint, plain } from "./kit/endpoint.ts";

/** Load-bearing: the app refuses to save a server whose answer does not contain it. */
export const BANNER = "Welcome to Happy Server!";

/** Beside a web app the banner still answers whoever does not ask for a page: fix 20.8. */
export const banner = endpoint({ method: "GET", path: "/", auth: "none" }, ({ context, request, facts }) => {
  const { webApp } = context;
  return webApp !== undefined && wantsPage(request) ? webApp.page(request, facts) : plain(BANNER);
});

/** At an invite's path; at the root the front page answers for all protocols. */
export const health = endpoint({ method: "GET", path: "/health", auth: "none" }, async ({ context }) =>
  healthPage([await healthOf(context)]),
);

export async function healthOf({ store, log }: Pick<HappyContext, "store" | "log">): Promise<HealthShare> {
  const fields = { service: "happy-server" };
  try {
    await store.answers();
    return { fields };
  } catch (error) {
    log.error({ err: error }, "the database does not answer");
    return { fields, problem: "Database connectivity failed" };
  }
}
