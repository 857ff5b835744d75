// Where browsers want to be told (HTTP contract, A9): the key that push services know this hub by, and their endpoints.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import { validBody } from "./kit/input.ts";

/** Of a namespace: browsers of one person and their past lives. The oldest goes. */
const MAX_SUBSCRIPTIONS = 200;

const text = z.string().min(1);
const subscribeBody = z.object({ endpoint: text, keys: z.object({ p256dh: text, auth: text }) });
const unsubscribeBody = z.object({ endpoint: text });

export function pushSubscriptionRoutes({ store, home }: Pick<HapiContext, "store" | "home">) {
  return new Hono<ApiEnv>()
    .get("/api/push/vapid-public-key", (c) => c.json({ publicKey: home.vapidKeys.publicKey }))
    .post("/api/push/subscribe", async (c) => {
      const { endpoint, keys } = await validBody(c, subscribeBody);
      const { p256dh, auth } = keys;
      await store.putSubscription({ namespace: c.var.claims.ns, endpoint, p256dh, auth }, MAX_SUBSCRIPTIONS);
      return c.json({ ok: true });
    })
    .delete("/api/push/subscribe", async (c) => {
      const { endpoint } = await validBody(c, unsubscribeBody);
      await store.deleteSubscription(c.var.claims.ns, endpoint);
      return c.json({ ok: true });
    });
}
