// Where browsers want to be told (HTTP contract, A9): the key that push services know this hub by, and their endpoints. An endpoint is an
// address that a client gave and this server will ask: what it never would is refused here already.
import { Hono } from "hono";
import { z } from "zod";
import { areKeys, isAllowed } from "../../push/channels/web-push.ts";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import { Refused } from "./kit/failure.ts";
import { validBody } from "./kit/input.ts";

/** Those of the large services have some 200 characters. */
const MAX_ENDPOINT = 2_048;
const MAX_KEY = 256;

const text = z.string().min(1);
const subscribeBody = z.object({ endpoint: text, keys: z.object({ p256dh: text, auth: text }) });
const unsubscribeBody = z.object({ endpoint: text });

export function pushSubscriptionRoutes({
  store,
  home,
  config,
}: Pick<HapiContext, "store" | "home" | "config">) {
  return new Hono<ApiEnv>()
    .get("/api/push/vapid-public-key", (c) => c.json({ publicKey: home.vapidKeys.publicKey }))
    .post("/api/push/subscribe", async (c) => {
      const { endpoint, keys } = await validBody(c, subscribeBody);
      const { p256dh, auth } = keys;
      const url = endpoint.length > MAX_ENDPOINT ? null : URL.parse(endpoint);
      if (url === null || !isAllowed(url, config.hapiWebPushInside))
        throw new Refused(400, "Push endpoint not allowed");
      if (p256dh.length > MAX_KEY || auth.length > MAX_KEY || !areKeys(keys))
        throw new Refused(400, "Invalid push keys");
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
