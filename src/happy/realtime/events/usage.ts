// `usage-report`: a coding session tells what it has used so far (realtime contract 6.15). A report without a session is stored too,
// and only one with a session is announced.
import { z } from "zod";
import { identifier, isIdentifier } from "../../../limits/identifier.ts";
import { userScoped } from "../../audience.ts";
import type { Ephemeral } from "../../wire/updates.ts";
import { isAmount } from "../../wire/usage-buckets.ts";
import type { SocketEvent } from "../connection.ts";

const fields = z.object({
  key: z.unknown().optional(),
  sessionId: z.unknown().optional(),
  tokens: z.unknown().optional(),
  cost: z.unknown().optional(),
});
const keySchema = identifier.min(1);
/** JSON can say numbers that are infinite, and sums of numbers near the end of the range would be: neither is an amount. */
const amounts = z
  .looseObject({ total: z.number() })
  .refine((given) => Object.values(given).every((value) => typeof value !== "number" || isAmount(value)));

const error = (text: string) => ({ success: false, error: text });

export const usageReport: SocketEvent = {
  event: "usage-report",
  failure: error("Failed to save usage report"),
  handle: async ({ context, account }, payload, ack) => {
    if (payload === null || payload === undefined) return ack(error("Internal error"));
    const given = fields.safeParse(payload).data;
    const key = keySchema.safeParse(given?.key).data;
    if (key === undefined) return ack(error("Invalid key"));
    const tokens = amounts.safeParse(given?.tokens).data;
    if (tokens === undefined) return ack(error("Invalid tokens object - must include total"));
    const cost = amounts.safeParse(given?.cost).data;
    if (cost === undefined) return ack(error("Invalid cost object - must include total"));
    // Anything falsy means no session.
    const sessionId = given?.sessionId || undefined;
    if (sessionId !== undefined && !(typeof sessionId === "string" && isIdentifier(sessionId)))
      return ack(error("Invalid sessionId"));
    const report = { key, sessionId, tokens, cost };
    const saved = await context.store.saveUsageReport(account, report, (outcome) => {
      if (outcome === undefined || sessionId === undefined) return;
      const usage = { type: "usage", id: sessionId, key, tokens, cost, timestamp: outcome.updatedAt };
      context.publisher.ephemeral(userScoped(account), usage satisfies Ephemeral);
    });
    if (saved === undefined) return ack(error("Session not found"));
    const { id: reportId, createdAt, updatedAt } = saved;
    ack({ success: true, reportId, createdAt, updatedAt });
  },
};
