// Where a Cursor session's history lies (HTTP contract, C5).
import { Hono } from "hono";
import type { HapiContext } from "../../context.ts";
import { cursorStore } from "../../hub/cursor-store.ts";
import type { ApiEnv } from "../kit/env.ts";
import { keyOf } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";

const FAILED = { cli: { status: 502, code: "probe_failed" } };

export function cursorStoreRoutes({ hub: { core } }: Pick<HapiContext, "hub">) {
  return new Hono<ApiEnv>().get("/api/sessions/:id/cursor-chat-store", async (c) => {
    const { onDisk, store } = granted(await cursorStore(core, keyOf(c)), FAILED);
    return c.json({ onDisk, store });
  });
}
