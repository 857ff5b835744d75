// Git and files of a session's folder, and the commands and skills of its agent, as its CLI answers (HTTP contract, A9 and C3). The
// session need not be at work. What goes wrong there is an answer with status 200.
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { Result } from "../hub/result.ts";
import type { ApiEnv } from "./kit/env.ts";
import { type Guards, keyOf } from "./kit/found.ts";
import { unsuccessful } from "./kit/granted.ts";
import { validQuery, wholeNumber } from "./kit/input.ts";

/** Any other word is as good as none. */
const staged = z
  .string()
  .optional()
  .transform((text) => (text === "true" ? true : text === "false" ? false : undefined));
const numstatQuery = z.object({ staged });
const diffQuery = z.object({ path: z.string().min(1), staged });
const fileQuery = z.object({ path: z.string().min(1) });
const directoryQuery = z.object({ path: z.string().default("") });
const filesQuery = z.object({ query: z.string().default(""), limit: wholeNumber(1).max(500).default(200) });

const INVALID_PATH = { error: "Invalid file path" };

export function sessionFileRoutes({ hub: { calls } }: Pick<HapiContext, "hub">, { session }: Guards) {
  /** Without a folder nothing else is looked at. */
  const inFolder = async (c: Context<ApiEnv>, answer: (path: string) => Promise<Answer>) => {
    const folder = await calls.folder(keyOf(c));
    return soft(folder.ok ? await answer(folder.path) : folder);
  };
  return new Hono<ApiEnv>()
    .get("/api/sessions/:id/git-status", (c) =>
      inFolder(c, (cwd) => calls.call(keyOf(c), "git-status", { cwd })),
    )
    .get("/api/sessions/:id/git-diff-numstat", (c) =>
      inFolder(c, (cwd) => {
        const { staged } = validQuery(c, numstatQuery);
        return calls.call(keyOf(c), "git-diff-numstat", { cwd, staged });
      }),
    )
    .get("/api/sessions/:id/git-diff-file", (c) =>
      inFolder(c, (cwd) => {
        const { path: filePath, staged } = validQuery(c, diffQuery, INVALID_PATH);
        return calls.call(keyOf(c), "git-diff-file", { cwd, filePath, staged });
      }),
    )
    .get("/api/sessions/:id/file", (c) =>
      inFolder(c, () => {
        const { path } = validQuery(c, fileQuery, INVALID_PATH);
        return calls.call(keyOf(c), "readFile", { path });
      }),
    )
    .get("/api/sessions/:id/directory", (c) =>
      inFolder(c, () => {
        const { path } = validQuery(c, directoryQuery);
        return calls.call(keyOf(c), "listDirectory", { path });
      }),
    )
    .get("/api/sessions/:id/files", (c) =>
      inFolder(c, async () => {
        const { query, limit } = validQuery(c, filesQuery);
        const found = await calls.files(keyOf(c), query, limit);
        return found.ok ? { ok: true, answer: { success: true, files: found.files } } : found;
      }),
    )
    .get("/api/sessions/:id/slash-commands", session, async (c) => soft(await calls.slashCommands(c.var.key)))
    .get("/api/sessions/:id/skills", session, async (c) => soft(await calls.skills(c.var.key)));
}

type Answer = Result<{ readonly answer: unknown }>;

const soft = (result: Answer): Response =>
  Response.json(result.ok ? (result.answer ?? null) : unsuccessful(result));
