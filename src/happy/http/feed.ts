// The caller's feed, newest first, paged by counter cursors (HTTP contract 14.6).
import { z } from "zod";
import { CURSOR, feedBody } from "../wire/feed.ts";
import { type Endpoint, endpoint, refusal } from "./kit/endpoint.ts";
import { jsonList } from "./kit/large.ts";
import { limitOf } from "./sessions.ts";

/** `0-` and leading digits, whatever follows; beyond every counter when out of range. Undefined for anything else. */
function counterOf(cursor: string): number | undefined {
  const digits = cursor.startsWith(CURSOR) ? /^\d+/.exec(cursor.slice(CURSOR.length))?.[0] : undefined;
  return digits === undefined ? undefined : Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

const read = endpoint(
  {
    method: "GET",
    path: "/v1/feed",
    auth: "bearer",
    query: z.object({
      before: z.string().optional(),
      after: z.string().optional(),
      limit: limitOf(200, 50),
    }),
  },
  async ({ context, account, query: { before, after, limit } }) => {
    const cursor = before ?? after;
    const counter = cursor === undefined ? undefined : counterOf(cursor);
    if (cursor !== undefined && counter === undefined) return refusal(400, "Invalid cursor format");
    const bound = before === undefined ? { after: counter } : { before: counter };
    const page = await context.store.pageFeed(account, { limit, ...bound });
    return jsonList(context, "items", page, feedBody, { hasMore: page.hasMore });
  },
);

export const feedEndpoints: readonly Endpoint[] = [read];
