// GET /api/push/vapid-public-key, POST and DELETE /api/push/subscribe (HTTP contract, A9). To be mounted behind the login of `/api`.
import { Hono } from "hono";
import { z } from "zod";
import { areKeys, isAllowed } from "../../push/channels/web-push.ts";
import type { Home } from "../home/home.ts";
import { bodyOf } from "../http/kit/body.ts";
import type { ApiEnv } from "../http/kit/env.ts";
import { Refused } from "../http/kit/failure.ts";
import type { HapiConfig } from "../settings.ts";
import type { HapiStore } from "../store/contract.ts";

export interface PushRoutesParts {
  readonly store: Pick<HapiStore, "putSubscription" | "deleteSubscription">;
  readonly home: Pick<Home, "vapidKeys">;
  readonly config: Pick<HapiConfig, "hapiWebPushInside">;
}

/** Browsers of one namespace; over it the one that subscribed longest ago goes. */
export const MAX_SUBSCRIPTIONS = 50;
/** Those of the large services have some 200. */
const MAX_ENDPOINT = 2_048;
const MAX_KEY = 256;

const subscribeBody = z.object({
  endpoint: z.string().min(1),
  keys: z.object({ p256dh: z.string().min(1), auth: z.string().min(1) }),
});
const unsubscribeBody = z.object({ endpoint: z.string().min(1) });

export function pushRoutes({ store, home, config }: PushRoutesParts) {
  return new Hono<ApiEnv>()
    .get("/api/push/vapid-public-key", (c) => c.json({ publicKey: home.vapidKeys.publicKey }))
    .post("/api/push/subscribe", async (c) => {
      const body = subscribeBody.safeParse(await bodyOf(c));
      if (!body.success) throw new Refused(400, "Invalid body");
      const { endpoint, keys } = body.data;
      const { p256dh, auth } = keys;
      const url = endpoint.length > MAX_ENDPOINT ? null : URL.parse(endpoint);
      if (url === null || !isAllowed(url, config.hapiWebPushInside))
        throw new Refused(400, "Push endpoint not allowed");
      if (p256dh.length > MAX_KEY || auth.length > MAX_KEY || !areKeys(keys))
        throw new Refused(400, "Invalid push keys");
      await store.putSubscription({ namespace: c.var.claims.ns, endpoint, p256dh, auth }, MAX_SUBSCRIPTIONS);
      return c.json({ ok: true });
    })
    .delete("/api/push/subscribe", async (c) => {
      const body = unsubscribeBody.safeParse(await bodyOf(c));
      if (!body.success) throw new Refused(400, "Invalid body");
      await store.deleteSubscription(c.var.claims.ns, body.data.endpoint);
      return c.json({ ok: true });
    });
}
