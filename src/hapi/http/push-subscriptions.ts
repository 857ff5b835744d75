// Where browsers want to be told (HTTP contract, A9): the key that push services know this hub by, and their endpoints.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import { validBody } from "./kit/input.ts";

/** An address of a push service, and keys of at most 65 bytes. */
const endpoint = z.string().min(1).max(4_096);
const key = z.string().min(1).max(256);
const subscribeBody = z.object({ endpoint, keys: z.object({ p256dh: key, auth: key }) });
const unsubscribeBody = z.object({ endpoint });

export function pushSubscriptionRoutes({
  config,
  store,
  home,
}: Pick<HapiContext, "config" | "store" | "home">) {
  return new Hono<ApiEnv>()
    .get("/api/push/vapid-public-key", (c) => c.json({ publicKey: home.vapidKeys.publicKey }))
    .post("/api/push/subscribe", async (c) => {
      const { endpoint, keys } = await validBody(c, subscribeBody);
      const { p256dh, auth } = keys;
      await store.putSubscription(
        { namespace: c.var.claims.ns, endpoint, p256dh, auth },
        config.maxAccountPushTokens,
      );
      return c.json({ ok: true });
    })
    .delete("/api/push/subscribe", async (c) => {
      const { endpoint } = await validBody(c, unsubscribeBody);
      await store.deleteSubscription(c.var.claims.ns, endpoint);
      return c.json({ ok: true });
    });
}
