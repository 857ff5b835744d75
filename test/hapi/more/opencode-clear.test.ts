// OpenCode's /clear, step by step as the released CLI goes through it, over a whole server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type DeskCli, HapiDesk } from "../../support/hapi-desk.ts";

type Json = Record<string, unknown>;

let desk: HapiDesk;
let runner: DeskCli;
beforeAll(async () => {
  desk = await HapiDesk.open();
  await desk.machine("m");
  runner = await desk.runner("m");
  runner.socket.emit("rpc-register", { method: "m:spawn-happy-session" });
});
afterAll(() => desk.close());

const step = (id: string, name = "", body: unknown = {}) =>
  desk.short("POST", `/cli/sessions/${id}/clear-opencode${name}`, body);
const session = async (id: string) =>
  (
    (await desk.ask("GET", `/cli/sessions/${id}`)).body as {
      session: Json & { metadata: Json; metadataVersion: number };
    }
  ).session;
const localIds = async (id: string) =>
  (
    (await desk.ask("GET", `/api/sessions/${id}/messages`)).body as { messages: { localId: string }[] }
  ).messages.map(({ localId }) => localId);
const unavailable = (error: string) => [409, { error, code: "clear_unavailable" }] as [number, unknown];

const METADATA = {
  path: "/p",
  host: "h",
  flavor: "opencode",
  opencodeSessionId: "native",
  machineId: "m",
  name: "Mine",
  startedBy: "runner",
  lifecycleState: "running",
  hostPid: 7,
};

async function running(metadata: Json = {}): Promise<DeskCli> {
  const id = await desk.session({ ...METADATA, ...metadata }, { model: "large" });
  return desk.sessionCli(id);
}

/** As the CLI leaves; a version that it does not know it writes over once more. */
async function leaves(cli: DeskCli): Promise<void> {
  const metadata = {
    ...METADATA,
    lifecycleState: "archived",
    archivedBy: "cli",
    archiveReason: "Cleared by /clear",
  };
  cli.emit("session-end", { sid: cli.id, time: Date.now(), reason: "cleared" });
  let expectedVersion = 1;
  for (let result = ""; result !== "success"; ) {
    const ack = await cli.socket.emitWithAck("update-metadata", { sid: cli.id, expectedVersion, metadata });
    ({ result, version: expectedVersion } = ack);
  }
}

test("a session is cleared into another one, which gets what still waits", async () => {
  const cli = await running();
  const [status, body] = await step(cli.id, "/reserve");
  const { sessionId: next } = body as { sessionId: string };
  expect([status, body]).toEqual([200, { ok: true, sessionId: next }]);
  expect(await step(cli.id, "/reserve")).toEqual([200, { ok: true, sessionId: next }]);
  const { hostPid: _p, lifecycleState: _l, opencodeSessionId: _o, ...inherited } = METADATA;
  expect(await session(next)).toMatchObject({ active: false, model: "large", metadata: inherited });
  expect((await session(next)).metadata).toEqual(inherited);
  await desk.ask("POST", `/api/sessions/${cli.id}/messages`, { text: "waits", localId: "w" });
  expect(await step(cli.id)).toEqual(unavailable("Session must be an archived OpenCode clear source"));
  const confirm = () => step(cli.id, "/confirm-cleanup", { replacementSessionId: next });
  expect(await confirm()).toEqual([200, { ok: true, sessionId: next }]);
  expect(await confirm()).toEqual([200, { ok: true, sessionId: next }]);
  await leaves(cli);
  expect((await session(cli.id)).metadata.opencodeClearOperation).toMatchObject({
    state: "cleanup-confirmed",
  });
  runner.answers.set("spawn-happy-session", { type: "error", errorMessage: "no room" });
  expect(await step(cli.id)).toEqual([500, { error: "no room", code: "spawn_failed" }]);
  expect((await session(cli.id)).metadata.opencodeClearOperation).toMatchObject({
    state: "failed",
    error: "no room",
  });
  expect(await localIds(cli.id)).toEqual(["w"]);

  runner.answers.set("spawn-happy-session", ({ sessionId }: Json) => ({ type: "success", sessionId }));
  expect(await step(cli.id)).toEqual([200, { ok: true, sessionId: next }]);
  expect(runner.calls.at(-1)).toEqual([
    "spawn-happy-session",
    {
      type: "spawn-in-directory",
      directory: "/p",
      agent: "opencode",
      model: "large",
      existingSessionId: next,
      sessionId: next,
      forkSession: false,
    },
  ]);
  expect(await localIds(cli.id)).toEqual([]);
  expect(await localIds(next)).toEqual(["w"]);
  expect((await session(cli.id)).metadata).toMatchObject({
    supersededBySessionId: next,
    opencodeClearOperation: { state: "completed", replacementSessionId: next },
  });
  const calls = runner.calls.length;
  expect(await step(cli.id)).toEqual([200, { ok: true, sessionId: next }]);
  expect(runner.calls).toHaveLength(calls);
  expect(await desk.short("POST", `/api/sessions/${cli.id}/resume`)).toEqual([
    409,
    { error: "This OpenCode session was replaced by /clear", code: "resume_unavailable" },
  ]);
  // A replacement that comes is told what waits for it.
  const fresh = await desk.sessionCli(next);
  await fresh.flush();
  expect(fresh.updates.map(({ body }) => (body.message as Json | undefined)?.localId)).toEqual(["w"]);
});

test("a reservation is given back, and nothing of it is left", async () => {
  const cli = await running();
  const [, body] = await step(cli.id, "/reserve");
  const { sessionId: next } = body as { sessionId: string };
  const abort = (replacementSessionId: unknown) => step(cli.id, "/abort", { replacementSessionId });
  expect(await abort("other")).toEqual([
    500,
    { error: "Could not abort clear reservation", code: "replacement_link_failed" },
  ]);
  expect(await abort(5)).toEqual([400, { error: "Invalid clear callback request" }]);
  for (let twice = 0; twice < 2; twice++)
    expect(await abort(next)).toEqual([200, { ok: true, sessionId: cli.id }]);
  expect((await desk.short("GET", `/api/sessions/${next}`))[0]).toBe(404);
  expect((await step(cli.id, "/confirm-cleanup", { replacementSessionId: next }))[0]).toBe(500);
  const [, again] = await step(cli.id, "/reserve");
  expect((again as { sessionId: string }).sessionId).not.toBe(next);
  await leaves(cli);
  expect(await step(cli.id)).toEqual(unavailable("Native OpenCode cleanup is not confirmed"));
});

test("only a running session of OpenCode's that a runner began is cleared", async () => {
  for (const metadata of [{ startedBy: "terminal" }, { flavor: "codex" }, { lifecycleState: "archived" }]) {
    const cli = await running(metadata);
    expect(await step(cli.id, "/reserve")).toEqual(
      unavailable("Session is not an active runner-backed OpenCode session"),
    );
    expect(await step(cli.id, "/abort", { replacementSessionId: "x" })).toEqual(
      unavailable("Clear reservation not found"),
    );
  }
  const away = await desk.session(METADATA);
  expect((await step(away, "/reserve"))[0]).toBe(409);
  expect(await step(crypto.randomUUID(), "/reserve")).toEqual([
    404,
    { error: "Session not found", code: "session_not_found" },
  ]);
  const foreign = await (await desk.of("other")).session(METADATA);
  expect(await step(foreign, "/reserve")).toMatchObject([403, { code: "access_denied" }]);
});
