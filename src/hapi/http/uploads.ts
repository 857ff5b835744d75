// Files that a person attaches, stored by the session's CLI on its own host; its answers are passed on as they are (HTTP contract, A9).
import { type Context, Hono } from "hono";
import { z } from "zod";
import { BodyRefused, bodyRefused } from "../../http/request-body.ts";
import { LargeBodies } from "../../limits/large-bodies.ts";
import { promisedBytes } from "../../server/body.ts";
import { accountOf } from "../auth/web-tokens.ts";
import type { HapiContext } from "../context.ts";
import type { Result } from "../hub/result.ts";
import { isBase64 } from "../rpc/params-text.ts";
import type { ApiEnv } from "./kit/env.ts";
import { Refused } from "./kit/failure.ts";
import type { FoundEnv, Guards } from "./kit/found.ts";
import { unsuccessful } from "./kit/granted.ts";
import { validBody } from "./kit/input.ts";

const MAX_FILE_BYTES = 50 * 1024 * 1024;
/** A larger one is what it should be, or it would cost several times its size in memory. */
const LARGE = 1024 * 1024;
/** Of large ones few are on their way to slow CLIs at one time: with more than this waiting for them, the next one comes again. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const TOO_LARGE = { success: false, error: "File too large (max 50MB)" };

const uploadBody = z.object({
  filename: z.string().min(1).max(255),
  content: z.string().min(1),
  mimeType: z.string().min(1).max(255),
});
const deleteBody = z.object({ path: z.string().min(1) });

/** Who sends that slowly, or whose CLI is that slow, keeps the others no longer. */
const MAX_TURN_MS = 60_000;

export function uploadRoutes(
  { hub: { calls }, queues, bounds }: Pick<HapiContext, "hub" | "queues" | "bounds">,
  { active }: Guards,
) {
  /** A large one is read when the one before it has arrived at its CLI: until then it waits on its sender's side. */
  const line = new LargeBodies();

  const upload = async (c: Context<FoundEnv & ApiEnv>): Promise<Response> => {
    const { key, body } = c.var;
    const { filename, content, mimeType } = await validBody(c, uploadBody);
    if (decodedBytes(content) > MAX_FILE_BYTES) return c.json(TOO_LARGE, 413);
    if (content.length > LARGE && !isBase64(content)) throw new Refused(400, "Invalid body");
    if (content.length > LARGE && queues.held() > MAX_WAITING_BYTES) {
      bounds.refused("bodies-in-flight", { waitingBytes: queues.held() });
      throw new BodyRefused("busy");
    }
    const file = { sessionId: key.id, filename, content, mimeType };
    // What is on its way to the CLI counts there. Other bodies take their turn once it is, and not before.
    body.handOn();
    const stored = await calls.call(key, "uploadFile", file, { sent: () => body.release() });
    if (!stored.ok && stored.code === "busy") throw new BodyRefused("busy");
    return passedOn(stored);
  };

  return new Hono<ApiEnv>()
    .post("/api/sessions/:id/upload", active, async (c) => {
      const bytes = promisedBytes(c.req.raw);
      if (bytes <= LARGE) return upload(c);
      const end = await line.turn(accountOf(c.var.claims), bytes).catch((error: unknown) => {
        bounds.refused("bodies-in-flight", {});
        throw bodyRefused(error);
      });
      const timer = setTimeout(end, MAX_TURN_MS);
      return upload(c).finally(() => {
        clearTimeout(timer);
        end();
      });
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
