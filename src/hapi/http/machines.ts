// Machines as web clients see and name them, and what they ask of their runners (HTTP contract, A9 and C3).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import { FLAVOURS } from "../wire/flavours.ts";
import type { ApiEnv } from "./kit/env.ts";
import { Refused } from "./kit/failure.ts";
import { type Guards, keyOf } from "./kit/found.ts";
import { granted } from "./kit/granted.ts";
import { validBody } from "./kit/input.ts";
import { collaborationMode, copilotAgentMode, permissionMode, serviceTier, word } from "./kit/words.ts";

const MAX_PATHS = 1_000;
const MAX_NAME = 64;

const spawnBody = z.object({
  directory: z.string().min(1),
  agent: z.enum(FLAVOURS).default("claude"),
  model: word.optional(),
  effort: word.optional(),
  modelReasoningEffort: word.optional(),
  yolo: z.boolean().optional(),
  permissionMode: permissionMode.optional(),
  serviceTier: serviceTier.optional(),
  sessionType: z.enum(["simple", "worktree"]).optional(),
  worktreeName: z.string().optional(),
  collaborationMode: collaborationMode.optional(),
  copilotAgentMode: copilotAgentMode.optional(),
  startingMode: z.enum(["remote", "pty"]).optional(),
});
const pathsBody = z.object({ paths: z.array(z.string().min(1)).max(MAX_PATHS) });
const directoryBody = z.object({ path: z.string().min(1), includeHidden: z.boolean().optional() });
const nameBody = z.object({ displayName: z.string().trim() });

const INVALID_NAME = { error: "Invalid body: displayName is required" };

export function machineRoutes(
  { hub: { machines, spawning } }: Pick<HapiContext, "hub">,
  { machine }: Guards,
) {
  return new Hono<ApiEnv>()
    .get("/api/machines", async (c) => c.json({ machines: await machines.listActive(c.var.claims.ns) }))
    .patch("/api/machines/:id", machine, async (c) => {
      const { displayName } = await validBody(c, nameBody, INVALID_NAME);
      if (displayName.length > MAX_NAME)
        throw new Refused(400, `displayName must be at most ${MAX_NAME} characters`);
      granted(await machines.rename(c.var.key, displayName));
      return c.json({ ok: true });
    })
    .post("/api/machines/:id/spawn", machine, async (c) => {
      const request = await validBody(c, spawnBody);
      const { spawned } = granted(await spawning.spawn(c.var.key, request));
      return c.json(spawned);
    })
    .get("/api/machines/:id/agent-availability", async (c) => {
      const { answer } = granted(await spawning.agents(keyOf(c)));
      return Response.json(answer ?? null);
    })
    .post("/api/machines/:id/paths/exists", machine, async (c) => {
      const { paths } = await validBody(c, pathsBody);
      const { exists, outsideWorkspaceRoots } = granted(await spawning.pathsExist(c.var.key, paths));
      return c.json({ exists, outsideWorkspaceRoots });
    })
    .post("/api/machines/:id/list-directory", machine, async (c) => {
      const { path, includeHidden } = await validBody(c, directoryBody);
      const { answer } = granted(await spawning.directory(c.var.key, { path, includeHidden }));
      return Response.json(answer ?? null);
    });
}
