// Histories that agents keep on their own machines, listed and taken over (HTTP contract, C5). Refusals are answers of this family's own
// shape. Codex's desktop program is none of a server's business: none is looked for, so there is none to be restarted.
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { Histories } from "../../hub/imports/imports.ts";
import type { Refusal, Result } from "../../hub/result.ts";
import { bodyOf } from "../kit/body.ts";
import type { ApiEnv } from "../kit/env.ts";
import { id } from "../kit/words.ts";

const MAX_SESSIONS = 200;
/** A blank one is as good as none. */
const name = id.trim().min(1).optional().catch(undefined);
const machineAndFolder = z.object({ machineId: name, cwd: name }).catch({});
const sessionIds = z.object({ sessionIds: z.array(id.trim().min(1)).max(MAX_SESSIONS) });
const archiveBody = z.object({ sessionId: id.trim().min(1) });

const DESKTOP = { codexDesktopRunning: false, codexClientAvailable: false };
const NONE_CHOSEN = "No Codex sessions selected";

export function localHistoryRoutes({ hub: { codexImports, piImports } }: Pick<HapiContext, "hub">) {
  return new Hono<ApiEnv>()
    .get("/api/codex/sessions", async (c) => {
      const { machineId, cwd } = machineAndFolder.parse(c.req.query());
      return listed(await codexImports.list(c.var.claims.ns, machineId, cwd), machineId);
    })
    .get("/api/pi/sessions", async (c) => {
      const { machineId, cwd } = machineAndFolder.parse(c.req.query());
      return listed(await piImports.list(c.var.claims.ns, machineId, cwd), machineId);
    })
    .get("/api/codex/status", (c) => c.json({ success: true, ...DESKTOP }))
    .post("/api/codex/restart-desktop", (c) =>
      c.json({ success: false, error: "This server restarts no desktop programs", ...DESKTOP }),
    )
    .post("/api/codex/duplicate-sessions", async (c) => {
      const wanted = sessionIds.safeParse(await bodyOf(c));
      if (!wanted.success || wanted.data.sessionIds.length === 0)
        return c.json({ success: false, error: NONE_CHOSEN });
      const duplicates = await codexImports.duplicates(c.var.claims.ns, wanted.data.sessionIds);
      return c.json({ success: true, duplicates });
    })
    .post("/api/codex/archive-session", async (c) => {
      const body = await bodyOf(c);
      const wanted = archiveBody.safeParse(body);
      if (!wanted.success) return c.json({ success: false, error: "sessionId is required" }, 400);
      const { machineId } = machineAndFolder.parse(body);
      const archived = await codexImports.archive(c.var.claims.ns, wanted.data.sessionId, machineId);
      if (!archived.ok) return unsuccessful(archived, archived.code === "no-machine" ? 503 : 500, {});
      return c.json({ success: true, archivedPath: archived.archivedPath, machineId: archived.machineId });
    })
    .post("/api/codex/sync-session", sync)
    .post("/api/pi/import-sessions", async (c) => {
      const body = await bodyOf(c);
      const wanted = sessionIds.safeParse(body);
      if (!wanted.success || wanted.data.sessionIds.length === 0)
        return c.json({ success: false, error: "No Pi sessions selected", results: [] }, 400);
      const { machineId } = machineAndFolder.parse(body);
      const imported = await piImports.import({ namespace: c.var.claims.ns, machineId, ...wanted.data });
      if (!imported.ok) return unsuccessful(imported, statusOf(imported), { results: [] });
      const { results } = imported;
      return c.json({
        success: results.every(({ error }) => error === undefined),
        results,
        machineId: imported.machineId,
      });
    });

  /** 200 in every case: clients read `success`. */
  async function sync(c: Context<ApiEnv>): Promise<Response> {
    const body = await bodyOf(c);
    const given = z.object({ sessionIds: z.array(z.unknown()).default([]) }).safeParse(body ?? {});
    if (given.success && given.data.sessionIds.length === 0) return failed(NONE_CHOSEN);
    const wanted = sessionIds.safeParse(body);
    if (!wanted.success) return failed("Invalid sessionIds");
    const { machineId, cwd } = machineAndFolder.parse(body);
    const done = await codexImports.sync({ namespace: c.var.claims.ns, machineId, cwd, ...wanted.data });
    if (!done.ok) return failed(done.error);
    const { synced } = done;
    const good = synced.filter(({ error }) => error === undefined);
    const error = synced.find((one) => one.error !== undefined)?.error;
    const output = synced.map((one, at) => line(one, at + 1)).join("\n\n");
    const rest = { output, sessionIds: synced.map((one) => one.codexSessionId), syncedCount: good.length };
    if (error !== undefined) return Response.json({ success: false, error, ...rest, ...DESKTOP });
    const message = `Imported ${good.length} Codex session(s) into Hapi`;
    const hapiSessionIds = good.map(({ hapiSessionId }) => hapiSessionId);
    return Response.json({ success: true, message, ...rest, hapiSessionIds, ...DESKTOP });
  }
}

type Synced = Extract<
  Awaited<ReturnType<HapiContext["hub"]["codexImports"]["sync"]>>,
  { ok: true }
>["synced"][number];

const line = ({ codexSessionId, hapiSessionId, action, appended, error }: Synced, at: number): string =>
  error === undefined
    ? `[${at}] Codex thread: ${codexSessionId}\nHapi session: ${hapiSessionId}\nAction: ${action}\nAppended messages: ${appended}`
    : `[${at}] Codex thread: ${codexSessionId}\n${error}`;

const failed = (error: string): Response =>
  Response.json({ success: false, error, syncedCount: 0, ...DESKTOP });

/** A runner that says that it could not is no fault here. */
const statusOf = ({ code }: Refusal): number =>
  code === "no-machine" || code === "runner-refused" ? 503 : code === "conflict" ? 409 : 500;

const unsuccessful = ({ error }: Refusal, status: number, more: object): Response =>
  Response.json({ success: false, error, ...more }, { status });

function listed(result: Result<Histories>, machineId: string | undefined): Response {
  if (!result.ok) return unsuccessful(result, statusOf(result), { sessions: [], machineId });
  return Response.json({ success: true, sessions: result.entries, machineId: result.machineId });
}
