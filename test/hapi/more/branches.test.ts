// Branches of a conversation, and shared sessions that begin anew, over a whole server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type DeskCli, HapiDesk } from "../../support/hapi-desk.ts";
import { until } from "../../support/until.ts";

let desk: HapiDesk;
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

type Json = Record<string, unknown>;
const HISTORY = { forkCurrent: true, forkAtMessage: true };
const POINTS = { u1: true, u2: true };
const fork = (id: string, body?: unknown) => desk.short("POST", `/api/sessions/${id}/fork`, body);
const refused = (error: string) => [409, { error }] as [number, unknown];
const say = (text: string) => ({
  role: "agent",
  content: { type: "codex", data: { type: "message", message: text } },
});
const plan = (content: string) => ({
  role: "agent",
  content: { type: "codex", data: { type: "plan", entries: [{ content, status: "pending" }] } },
});

/** Two turns that are over. */
async function spoken(metadata: Json = {}): Promise<DeskCli> {
  const id = await desk.session(
    {
      flavor: "codex",
      codexSessionId: "native",
      machineId: "m",
      capabilities: { conversationHistory: HISTORY },
      ...metadata,
    },
    { model: "gpt", modelReasoningEffort: "high" },
  );
  const cli = await desk.sessionCli(id, { "fork-conversation": { nativeSessionId: "branch" } });
  for (const localId of ["u1", "u2"]) {
    await desk.ask("POST", `/api/sessions/${id}/messages`, { text: localId, localId });
    cli.emit("messages-consumed", { sid: id, localIds: [localId], clearQueuedThinkingGrace: true });
    cli.emit("message", { sid: id, message: plan(`after ${localId}`) });
    cli.emit("message", { sid: id, message: say(`re ${localId}`) });
    await cli.flush();
    cli.alive();
  }
  await until("the turn's end", async () => !(await session(id)).thinking);
  return cli;
}

const session = async (id: string) =>
  ((await desk.ask("GET", `/api/sessions/${id}`)).body as { session: Json & { metadata: Json } }).session;
const page = async (id: string) =>
  (await desk.ask("GET", `/api/sessions/${id}/messages`)).body as {
    messages: { localId: string | null; seq: number; createdAt: number }[];
    page: { epoch: number };
  };
const sessions = async () =>
  ((await desk.ask("GET", "/api/sessions")).body as { sessions: unknown[] }).sessions.length;

test("a branch has what was said before, and a runner goes on with it", async () => {
  await desk.machine("m");
  const runner = await desk.runner("m", {
    "spawn-happy-session": ({ sessionId }: Json) => ({ type: "success", sessionId }),
  });
  const cli = await spoken({
    name: "Mine",
    hostPid: 5,
    lifecycleState: "running",
    startedBy: "terminal",
    preferredPermissionMode: "yolo",
    conversationHistoryPoints: POINTS,
    conversationHistoryTurns: { u1: "t1", u2: "t2" },
    ownKey: 1,
  });
  const [status, body] = await fork(cli.id, { messageLocalId: "u2" });
  expect(status).toBe(200);
  const { sessionId } = body as { sessionId: string };
  expect(cli.calls.at(-1)).toEqual(["fork-conversation", { messageLocalId: "u2" }]);
  expect(runner.calls).toEqual([
    [
      "spawn-happy-session",
      {
        type: "spawn-in-directory",
        directory: "/p",
        agent: "codex",
        model: "gpt",
        modelReasoningEffort: "high",
        permissionMode: "yolo",
        sessionType: "simple",
        resumeSessionId: "branch",
        existingSessionId: sessionId,
        sessionId,
        forkSession: false,
      },
    ],
  ]);
  const branch = await session(sessionId);
  expect(branch.metadata).toEqual({
    path: "/p",
    host: "h",
    flavor: "codex",
    codexSessionId: "branch",
    machineId: "m",
    capabilities: { conversationHistory: HISTORY },
    startedBy: "runner",
    forkedFrom: cli.id,
    summary: { text: "Fork: Mine", updatedAt: expect.any(Number) },
    conversationHistoryPoints: { u1: true },
    conversationHistoryTurns: { u1: "t1" },
    ownKey: 1,
  });
  expect(branch).toMatchObject({
    model: "gpt",
    active: false,
    hasConversationContent: true,
    todos: [{ content: "after u1" }],
  });
  const [before, after] = [await page(cli.id), await page(sessionId)];
  expect(after.messages.map(({ seq, localId, createdAt }) => [seq, localId, createdAt])).toEqual(
    before.messages.slice(0, 3).map(({ seq, localId, createdAt }) => [seq, localId, createdAt]),
  );
  expect(after.page.epoch).toBe(1);
  expect(before.messages).toHaveLength(6);

  const [, whole] = await fork(cli.id);
  expect((await page((whole as { sessionId: string }).sessionId)).messages).toHaveLength(6);
  expect(
    (await session((whole as { sessionId: string }).sessionId)).metadata.conversationHistoryPoints,
  ).toEqual(POINTS);
});

test("a branch that no runner takes leaves nothing behind", async () => {
  await desk.machine("m2");
  const runner = await desk.runner("m2", {
    "spawn-happy-session": { type: "error", errorMessage: "no room" },
    "stop-session": { status: "already_gone" },
  });
  const cli = await spoken({ machineId: "m2" });
  const count = await sessions();
  expect(await fork(cli.id, {})).toEqual(refused("no room"));
  expect(runner.calls.map(([name]) => name)).toEqual(["spawn-happy-session", "stop-session"]);
  const [spawned, stopped] = runner.calls.map(([, params]) => (params as Json).sessionId);
  expect(stopped).toBe(spawned);
  expect(await sessions()).toBe(count);
  for (const [answer, error] of [
    [null, "Native fork did not return a session id"],
    [{ nativeSessionId: "" }, "Native fork did not return a session id"],
    [{ error: "cannot" }, "cannot"],
  ]) {
    cli.answers.set("fork-conversation", answer);
    expect(await fork(cli.id)).toEqual(refused(error as string));
  }
  expect(await sessions()).toBe(count);
});

test("what cannot be branched is told why, before its agent is asked", async () => {
  const cli = await spoken();
  expect(await fork(cli.id, { messageLocalId: 5 })).toEqual([400, { error: "Invalid body" }]);
  expect(await fork(cli.id, [])).toEqual([400, { error: "Invalid body" }]);
  expect(await fork(cli.id, "no JSON")).toEqual([400, { error: "Invalid JSON body" }]);
  expect(await fork(cli.id, { messageLocalId: "nope" })).toEqual(
    refused("History boundary message not found or not yet invoked"),
  );
  await desk.ask("POST", `/api/sessions/${cli.id}/messages`, { text: "waits", localId: "w" });
  expect(await fork(cli.id)).toEqual(refused("Session is busy"));
  const none = await spoken({ capabilities: {} });
  expect(await fork(none.id)).toEqual(refused("Fork current is not supported for this session"));
  expect(await fork(none.id, { messageLocalId: "u1" })).toEqual(
    refused("Historical fork is not supported for this session"),
  );
  expect(await fork((await spoken({ machineId: undefined })).id)).toEqual(
    refused("Session is missing machine or path metadata"),
  );
  const foreign = await desk.of("other");
  await foreign.machine("theirs");
  expect(await fork((await spoken({ machineId: "theirs" })).id)).toEqual(refused("Machine access denied"));
  expect(await fork(await desk.session())).toMatchObject([409, { code: "session_inactive" }]);
  expect(cli.calls).toEqual([]);
});

test("a shared session begins anew in the session that its CLI names", async () => {
  const shared = { flavor: "codex", capabilities: { concurrentClients: true } };
  const id = await desk.session(shared);
  const next = await desk.session(shared);
  const cli = await desk.sessionCli(id, { "clear-conversation": { sessionId: next } });
  const clear = (of: string) => desk.short("POST", `/api/sessions/${of}/clear`);
  expect(await clear(id)).toEqual([200, { sessionId: next }]);
  expect(cli.calls).toEqual([["clear-conversation", {}]]);
  for (const answer of [null, { success: true }, { sessionId: id }, { error: "not now" }]) {
    cli.answers.set("clear-conversation", answer);
    // Upstream fault: a bare text, after five seconds (hapi-probed).
    expect(await clear(id)).toEqual([500, { error: expect.any(String) }]);
  }
  expect(await clear(await desk.session())).toEqual(refused("Shared session required"));
  expect((await clear(await desk.session({ ...shared, host: "away" })))[0]).toBe(503);
});
