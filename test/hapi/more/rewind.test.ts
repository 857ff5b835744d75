// Going back in a conversation, and Cursor's chat store, over a whole server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { HapiDesk } from "../../support/hapi-desk.ts";
import { until } from "../../support/until.ts";

let desk: HapiDesk;
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

const HISTORY = { capabilities: { conversationHistory: { rewindToMessage: true } } };

test("the agent goes back first, then the messages from there on", async () => {
  const id = await desk.session(HISTORY);
  const cli = await desk.sessionCli(id, { "rewind-conversation": { success: false, error: "no way" } });
  const rewind = (messageLocalId: unknown) =>
    desk.short("POST", `/api/sessions/${id}/rewind`, { messageLocalId });
  const refused = (error: string) => [409, { error, hydrateFailed: false }] as [number, unknown];
  const page = async () =>
    (await desk.ask("GET", `/api/sessions/${id}/messages`)).body as {
      messages: { localId: string }[];
      page: { epoch: number };
    };
  for (const localId of ["u1", "u2"]) {
    await desk.ask("POST", `/api/sessions/${id}/messages`, { text: localId, localId });
    cli.alive({ thinking: true });
    await cli.flush();
    expect(await rewind("u1")).toEqual(refused("Session is busy"));
    cli.emit("messages-consumed", { sid: id, localIds: [localId], clearQueuedThinkingGrace: true });
    cli.alive();
    await until("the turn's end", async () => {
      const { body } = await desk.ask("GET", `/api/sessions/${id}`);
      return !(body as { session: { thinking: boolean } }).session.thinking;
    });
  }
  expect(await rewind(5)).toEqual([400, { error: "Invalid body" }]);
  expect(await rewind("nope")).toEqual(refused("History boundary message not found or not yet invoked"));
  expect(await rewind("u2")).toEqual(refused("no way"));
  expect((await page()).messages).toHaveLength(2);
  const { epoch } = (await page()).page;
  cli.answers.set("rewind-conversation", { success: true });
  expect(await rewind("u2")).toEqual([200, { success: true }]);
  expect(cli.calls.at(-1)).toEqual(["rewind-conversation", { messageLocalId: "u2" }]);
  const after = await page();
  expect(after.messages.map(({ localId }) => localId)).toEqual(["u1"]);
  expect(after.page.epoch).toBeGreaterThan(epoch);
  const without = await desk.session();
  await desk.sessionCli(without);
  expect(await desk.short("POST", `/api/sessions/${without}/rewind`, { messageLocalId: "u1" })).toEqual(
    refused("Rewind is not supported for this session"),
  );
});

test("a machine says where Cursor keeps a history", async () => {
  const id = await desk.session({
    flavor: "cursor",
    machineId: "m",
    cursorSessionId: "c",
    homeDir: "/home/u",
  });
  const at = `/api/sessions/${id}/cursor-chat-store`;
  expect(await desk.short("GET", at)).toEqual([
    503,
    { error: "No machine online", code: "no_machine_online" },
  ]);
  await desk.machine("m");
  const runner = await desk.runner("m", {
    "cursor-chat-store-status": { onDisk: true, store: "legacy", more: 1 },
  });
  expect(await desk.short("GET", at)).toEqual([200, { onDisk: true, store: "legacy" }]);
  expect(runner.calls).toEqual([
    ["cursor-chat-store-status", { workspacePath: "/p", cursorSessionId: "c", homeDir: "/home/u" }],
  ]);
  runner.answers.set("cursor-chat-store-status", { onDisk: true });
  expect(await desk.short("GET", at)).toMatchObject([502, { code: "probe_failed" }]);
  expect(await desk.short("GET", `/api/sessions/${await desk.session()}/cursor-chat-store`)).toEqual([
    409,
    { error: "Cursor resume metadata is unavailable", code: "resume_unavailable" },
  ]);
});

test("a Cursor session is not moved to ACP, and its person hears why", async () => {
  const cursor = { flavor: "cursor", cursorSessionId: "c", host: "far" };
  const migrate = async (metadata: Record<string, unknown>, root = "/api", body?: unknown) => {
    const id = await desk.session(metadata);
    const [status, answer] = await desk.short("POST", `${root}/sessions/${id}/migrate-to-acp`, body);
    return [status, (answer as { reason?: string }).reason ?? answer];
  };
  expect(await migrate({ flavor: "claude" })).toEqual([409, "not_cursor_session"]);
  expect(await migrate({ ...cursor, cursorSessionProtocol: "acp" })).toEqual([409, "already_acp"]);
  expect(await migrate({ flavor: "cursor" })).toEqual([409, "no_cursor_session_id"]);
  expect(await migrate(cursor)).toEqual([500, "cross_host_session"]);
  expect(await migrate(cursor, "/api", "no JSON")).toEqual([400, { error: "Invalid JSON body" }]);
  await desk.machine("far", { host: "far" });
  const runner = await desk.runner("far", { "cursor-chat-store-status": { onDisk: false, store: "legacy" } });
  expect(await migrate(cursor, "/cli", {})).toEqual([404, "no_legacy_store_on_disk"]);
  runner.answers.set("cursor-chat-store-status", { onDisk: true, store: "legacy" });
  expect(await migrate(cursor)).toEqual([500, "migration_failed"]);
  const running = await desk.session(cursor);
  await desk.sessionCli(running);
  expect(await desk.short("POST", `/api/sessions/${running}/migrate-to-acp`)).toMatchObject([
    409,
    { ok: false, sessionId: running, reason: "running_refused", durationMs: expect.any(Number) },
  ]);
  const unknown = `/cli/sessions/${crypto.randomUUID()}/migrate-to-acp`;
  expect(await desk.short("POST", unknown, {})).toEqual([404, { error: "Session not found" }]);
});

test("an archived Cursor session that lost its own id cannot be opened again", async () => {
  const id = await desk.session({ flavor: "cursor", lifecycleState: "archived" });
  const cli = await desk.sessionCli(id);
  const content = { type: "text", text: "hi" };
  cli.emit("message", { sid: id, message: { role: "user", content } });
  cli.emit("session-end", { sid: id, time: Date.now() });
  await cli.flush();
  expect(await desk.short("POST", `/api/sessions/${id}/reopen`)).toEqual([
    422,
    {
      error: "Cursor session id is missing from metadata; reopen requires the original cursor chat id",
      missing: ["cursorSessionId"],
    },
  ]);
});
