// Which voice services there are (HTTP contract, C5): web clients ask whenever a session is opened, and show no button where there is
// none. This server speaks to none yet.
import { Hono } from "hono";
import type { ApiEnv } from "../kit/env.ts";

export const voiceRoutes = () =>
  new Hono<ApiEnv>()
    .get("/api/voice/backend", (c) => c.json({ backend: null, backends: [] }))
    .get("/api/voice/voices", (c) => c.json({ voices: [] }))
    .get("/api/voice/transcription/providers", (c) => c.json({ providers: [] }));
