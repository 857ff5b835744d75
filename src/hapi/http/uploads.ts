// Files that a person attaches, stored by the session's CLI on its own host; its answers are passed on as they are (HTTP contract, A9).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { Result } from "../hub/result.ts";
import type { ApiEnv } from "./kit/env.ts";
import type { Guards } from "./kit/found.ts";
import { unsuccessful } from "./kit/granted.ts";
import { validBody } from "./kit/input.ts";

const MAX_FILE_BYTES = 50 * 1024 * 1024;
const TOO_LARGE = { success: false, error: "File too large (max 50MB)" };

const uploadBody = z.object({
  filename: z.string().min(1).max(255),
  content: z.string().min(1),
  mimeType: z.string().min(1).max(255),
});
const deleteBody = z.object({ path: z.string().min(1) });

export function uploadRoutes({ hub: { calls } }: Pick<HapiContext, "hub">, { active }: Guards) {
  return new Hono<ApiEnv>()
    .post("/api/sessions/:id/upload", active, async (c) => {
      const { key, body } = c.var;
      const { filename, content, mimeType } = await validBody(c, uploadBody);
      if (decodedBytes(content) > MAX_FILE_BYTES) return c.json(TOO_LARGE, 413);
      const stored = calls.call(key, "uploadFile", { sessionId: key.id, filename, content, mimeType });
      // What is on its way to the CLI counts there. Others take their turn meanwhile.
      body.release();
      return passedOn(await stored);
    })
    .post("/api/sessions/:id/upload/delete", active, async (c) => {
      const { key } = c.var;
      const { path } = await validBody(c, deleteBody);
      return passedOn(await calls.call(key, "deleteUpload", { sessionId: key.id, path }));
    });
}

/** Of base64, padded or not. */
export function decodedBytes(base64: string): number {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return Math.floor(((base64.length - padding) * 3) / 4);
}

const passedOn = (result: Result<{ readonly answer: unknown }>): Response =>
  result.ok ? Response.json(result.answer ?? null) : Response.json(unsuccessful(result), { status: 500 });
