// Usage over HTTP (HTTP contract 5.4): sums of the reports that coding sessions sent.

import { setImmediate as nextTurn } from "node:timers/promises";
import { z } from "zod";
import { identifier } from "../../limits/identifier.ts";
import { usageBuckets } from "../wire/usage-buckets.ts";
import { UsageSums } from "../wire/usage-sums.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";

/** Times beyond this are no dates. */
const MAX_DATE_MS = 8.64e15;
const failure = { error: "Failed to query usage reports" };
const seconds = z.int().positive().nullish();

const query = endpoint(
  {
    method: "POST",
    path: "/v1/usage/query",
    auth: "bearer",
    body: z.object({
      sessionId: identifier.nullish(),
      startTime: seconds,
      endTime: seconds,
      groupBy: z.enum(["hour", "day"]).nullish(),
    }),
    failure,
  },
  async ({ context, account, body }) => {
    const groupBy = body.groupBy ?? "day";
    const filter = {
      sessionId: body.sessionId || undefined,
      from: body.startTime ? body.startTime * 1000 : undefined,
      to: body.endTime ? body.endTime * 1000 : undefined,
    };
    const batches = await context.store.usageReportBatches(account, filter);
    if (batches === undefined) return refusal(404, "Session not found");
    if (Math.max(filter.from ?? 0, filter.to ?? 0) > MAX_DATE_MS) return json(failure, 500);
    const sums = new UsageSums();
    for await (const batch of batches) {
      sums.add(usageBuckets(batch, groupBy));
      await nextTurn();
    }
    return json({ usage: sums.buckets(), groupBy, totalReports: sums.totalReports });
  },
);

export const usageEndpoints: readonly Endpoint[] = [query];
