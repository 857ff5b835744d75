// Where native companions want to be told (HTTP contract, C5). Apple's are told in letters that only they can open, so they bring a key.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { ApiEnv } from "../kit/env.ts";
import { validBody } from "../kit/input.ts";

const token = z.string().min(1).max(4_096);
const KEY_BYTES = 32;
const isKey = (key: string | undefined): boolean =>
  key !== undefined && /^[A-Za-z0-9+/]+={0,2}$/.test(key) && Buffer.from(key, "base64").length === KEY_BYTES;
const registerBody = z
  .object({
    token,
    platform: z.enum(["phone", "wear", "ios"]),
    deviceId: z.string().min(1).max(256),
    pushKey: z.string().max(256).optional(),
  })
  .refine(({ platform, pushKey }) => (platform !== "ios" && pushKey === undefined) || isKey(pushKey), {
    path: ["pushKey"],
    message: "pushKey must be base64 of exactly 32 bytes (required for ios)",
  });
const unregisterBody = z.object({ token });
const WITH_ISSUES = { hasIssues: true };

export function deviceRoutes({ config, store }: Pick<HapiContext, "config" | "store">) {
  return new Hono<ApiEnv>()
    .post("/api/devices/register", async (c) => {
      const { pushKey = null, ...device } = await validBody(c, registerBody, WITH_ISSUES);
      const namespace = c.var.claims.ns;
      await store.putDevice({ namespace, pushKey, ...device }, config.maxAccountPushTokens);
      return c.json({ ok: true });
    })
    .delete("/api/devices/register", async (c) => {
      const { token } = await validBody(c, unregisterBody, WITH_ISSUES);
      await store.deleteDevice(c.var.claims.ns, { token });
      return c.json({ ok: true });
    });
}
