// What only the hub's owner sees of it: how large its database is, and what the agents used (HTTP contract, C5). The owner is who has
// the token without a namespace.
import { Hono } from "hono";
import type { HapiContext } from "../../context.ts";
import type { UsageSum } from "../../store/records.ts";
import { usageOf } from "../../wire/usage.ts";
import type { ApiEnv } from "../kit/env.ts";
import { Refused } from "../kit/failure.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const NO_STORE = { "cache-control": "no-store" };

export function ownerRoutes({ store, log }: Pick<HapiContext, "store" | "log">) {
  let scanning: Promise<void> | undefined;
  /** Two who ask at once wait for one scan. */
  const scanned = (): Promise<void> => {
    scanning ??= scan().finally(() => {
      scanning = undefined;
    });
    return scanning;
  };
  const scan = async () => {
    try {
      while (await store.scanUsage(usageOf));
    } catch (error) {
      // What is counted already can be shown.
      log.warn({ err: error }, "what agents used could not be counted to the end; the next question goes on");
    }
  };
  return new Hono<ApiEnv>()
    .get("/api/storage/sqlite", async (c) => {
      mustBeOwner(c.var.claims.ns, "Storage usage");
      const { path, databaseBytes, walBytes, shmBytes } = await store.databaseFiles();
      const totalBytes = databaseBytes + walBytes + shmBytes;
      return c.json({ path, databaseBytes, walBytes, shmBytes, totalBytes }, 200, NO_STORE);
    })
    .get("/api/usage/summary", async (c) => {
      mustBeOwner(c.var.claims.ns, "Usage summary");
      await scanned();
      const now = Date.now();
      const from = startOf(c.req.query("range"), now);
      const summary = await store.usageSummary({ from: from ?? 0, to: now, dayOf });
      const { totals, daily, byAgent, byModel } = summary;
      return c.json(
        {
          range: { from, to: now },
          totals: view(totals),
          daily: daily.map(view),
          byAgent: byAgent.map(view),
          byModel: byModel.map(view),
          updatedAt: now,
        },
        200,
        NO_STORE,
      );
    });
}

/** Null from the beginning; any other word is a week. */
function startOf(range: string | undefined, now: number): number | null {
  if (range === "all") return null;
  return now - (range === "30d" ? 30 : 7) * DAY_MS;
}

/** Where the server is. */
function dayOf(at: number): string {
  const date = new Date(at);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const view = <T extends UsageSum & { readonly key?: string; readonly sessions?: number }>(sum: T) => ({
  ...(sum.key === undefined ? undefined : { key: sum.key }),
  inputTokens: sum.inputTokens,
  outputTokens: sum.outputTokens,
  cacheReadTokens: sum.cacheReadTokens,
  cacheCreationTokens: sum.cacheCreationTokens,
  totalTokens: sum.inputTokens + sum.outputTokens,
  uncachedTokens: Math.max(0, sum.inputTokens + sum.outputTokens - sum.cacheReadTokens),
  requests: sum.requests,
  ...(sum.sessions === undefined ? undefined : { sessions: sum.sessions }),
});

function mustBeOwner(namespace: string, what: string): void {
  if (namespace !== "default") throw new Refused(403, `${what} is only available to the hub owner`);
}
