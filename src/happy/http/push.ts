// Push tokens and push events (HTTP contract 8, realtime contract 11), and the additive aliases of 17.
import { z } from "zod";
import type { PushDecision } from "../../push/decision.ts";
import { interestedInSession } from "../audience.ts";
import { happyOutcome } from "../push/outcome.ts";
import { PUSH_KINDS, pushOf } from "../push/push-events.ts";
import { sessionEvent } from "../wire/updates.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { ValidationProblem } from "./kit/validate.ts";

const FAILED_DELETE = { error: "Failed to delete push token" };

/** Not empty, and at most so many UTF-16 code units; zod's own `max` counts code points. */
const text = (maximum: number) =>
  z
    .string()
    .min(1)
    .check(({ value, issues }) => {
      if (value.length <= maximum) return;
      issues.push({ code: "too_big", origin: "string", maximum, inclusive: true, input: value });
    });

/** What can be registered can be named in a path. */
const MAX_TOKEN = 200;
const pushToken = text(MAX_TOKEN).refine((token) => token.isWellFormed(), "Invalid input: not well-formed");

const register = (path: string) =>
  endpoint(
    {
      method: "POST",
      path,
      auth: "bearer",
      body: z.object({ token: pushToken }),
      failure: { error: "Failed to register push token" },
    },
    async ({ context, account, body: { token } }) => {
      const limit = context.config.maxAccountPushTokens;
      const forgotten = await context.store.registerPushToken(account, token, limit);
      if (forgotten > 0) context.bounds.refused("account-push-tokens", { account, limit });
      return json({ success: true });
    },
  );

const remove = endpoint(
  {
    method: "DELETE",
    path: "/v1/push-tokens/:token",
    auth: "bearer",
    params: z.object({ token: z.string() }),
    maxParam: MAX_TOKEN,
    failure: FAILED_DELETE,
  },
  async ({ context, account, params: { token } }) => {
    await context.store.deletePushToken(account, token);
    return json({ success: true });
  },
);

const optionalToken = z.object({ token: z.string().optional() });

const unregister = endpoint(
  {
    method: "DELETE",
    path: "/v1/push/unregister",
    auth: "bearer",
    body: optionalToken.nullish(),
    query: optionalToken,
    failure: FAILED_DELETE,
  },
  async ({ context, account, body, query }) => {
    const token = body?.token ?? query.token;
    if (token === undefined)
      throw new ValidationProblem("body/token Invalid input: expected string, received undefined");
    await context.store.deletePushToken(account, token);
    return json({ success: true });
  },
);

const list = endpoint(
  {
    method: "GET",
    path: "/v1/push-tokens",
    auth: "bearer",
    failure: { error: "Failed to get push tokens" },
  },
  async ({ context, account }) => {
    const rows = await context.store.findPushTokens(account);
    return json({
      tokens: rows.map(({ id, token, createdAt, updatedAt }) => ({ id, token, createdAt, updatedAt })),
    });
  },
);

const event = endpoint(
  {
    method: "POST",
    path: "/v1/sessions/:sessionId/push-event",
    auth: "bearer",
    params: z.object({ sessionId: z.string() }),
    body: z.object({
      kind: z.enum(PUSH_KINDS),
      title: text(200),
      body: text(500),
      data: z.record(z.string(), z.unknown()).optional(),
    }),
  },
  async ({ context, account, params: { sessionId }, body: { kind, title, body, data = {} } }) => {
    if (!(await context.store.ownsSession(account, sessionId))) return refusal(404, "Session not found");
    const push = pushOf({ account, sessionId, kind, title, body, data });
    const decision = await context.pusher.push(push, () =>
      context.publisher.ephemeral(
        interestedInSession(account, sessionId),
        sessionEvent(sessionId, kind, title, body, Date.now()),
      ),
    );
    return json(answerOf(decision));
  },
);

/** Realtime contract 11.4; always 200. */
function answerOf({ outcome, reason, devices, delivered }: PushDecision) {
  const result = { success: true, result: happyOutcome(outcome) };
  switch (outcome) {
    case "sent":
      return { ...result, tokens: delivered };
    case "partial":
      return { ...result, tokens: devices, delivered, reason };
    case "no-devices":
      return result;
    case "held-back":
    case "failed":
      return { ...result, reason };
  }
}

export const pushEndpoints: readonly Endpoint[] = [
  register("/v1/push-tokens"),
  register("/v1/push/register"),
  remove,
  unregister,
  list,
  event,
];
