// Messages that are taken into a running turn, or handed over once more (HTTP contract, C5). That it did not work is an answer too.
import { Hono } from "hono";
import type { HapiContext } from "../../context.ts";
import type { Retried, Steered } from "../../hub/steering.ts";
import { messageView } from "../../wire/message.ts";
import type { ApiEnv } from "../kit/env.ts";
import { keyOf } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";

export function steeringRoutes({ hub: { steering } }: Pick<HapiContext, "hub">) {
  return new Hono<ApiEnv>()
    .post("/api/sessions/:id/messages/:messageId/steer", async (c) => {
      const { steered } = granted(await steering.steer(keyOf(c), c.req.param("messageId")));
      return answer(steered);
    })
    .post("/api/sessions/:id/messages/:messageId/retry", async (c) => {
      const { retried } = granted(await steering.retry(keyOf(c), c.req.param("messageId")));
      return answer(retried);
    });
}

const answer = (came: Steered | Retried): Response =>
  Response.json(
    came.status === "invoked" ? { status: came.status, message: messageView(came.message) } : came,
  );
