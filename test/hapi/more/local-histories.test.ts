// Histories of Codex and Pi that lie on a machine, listed and taken over, over a whole server.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { type DeskCli, HapiDesk } from "../../support/hapi-desk.ts";

type Json = Record<string, unknown>;

let desk: HapiDesk;
let runner: DeskCli;
/** On the machine's disk. */
const codex = new Map<string, Json>();
const pi = new Map<string, Json>();
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

const reading =
  (disk: Map<string, Json>) =>
  ({ sessionIds }: { sessionIds?: string[] }) => ({
    success: true,
    sessions: [...disk.values()].filter(({ id }) => sessionIds?.includes(id as string) ?? true),
  });
const post = (path: string, body: unknown) => desk.short("POST", path, body);
const sync = async (...sessionIds: string[]) =>
  (await post("/api/codex/sync-session", { sessionIds, machineId: "m" }))[1] as Json & {
    hapiSessionIds: string[];
  };
const take = async (...sessionIds: string[]) =>
  (await post("/api/pi/import-sessions", { sessionIds, machineId: "m" }))[1] as {
    success: boolean;
    results: { hapiSessionId: string; action?: string; appended?: number; error?: Json }[];
  };
const user = (text: string) => ({ role: "user", content: { type: "text", text }, meta: { sentFrom: "cli" } });
const agent = (data: Json) => ({
  role: "agent",
  content: { type: "codex", data: { ...data, id: crypto.randomUUID() } },
});
const says = (message: string) => agent({ type: "message", message });
const session = async (id: string) =>
  ((await desk.ask("GET", `/api/sessions/${id}`)).body as { session: Json & { metadata: Json } }).session;
interface Row {
  seq: number;
  localId: string | null;
  createdAt: number;
  invokedAt: number | null;
  content: { content: { text?: string; data?: { message?: string; type: string } } };
}
const rows = async (id: string) =>
  ((await desk.ask("GET", `/api/sessions/${id}/messages?limit=200`)).body as { messages: Row[] }).messages;
const texts = async (id: string) =>
  (await rows(id)).map(
    ({ content: { content } }) => content.text ?? content.data?.message ?? content.data?.type,
  );
const transcript = (id: string, messages: unknown[], more: Json = {}) => {
  codex.set(id, {
    id,
    title: `Title ${id}`,
    lastUserMessage: "last",
    cwd: "/w",
    file: `/f/${id}`,
    modifiedAt: 1,
    messages,
    ...more,
  });
  return id;
};

beforeEach(async () => {
  codex.clear();
  pi.clear();
  runner?.socket.close();
  await desk.machine("m");
  runner = await desk.runner("m", {
    listCodexSessions: reading(codex),
    listPiSessions: reading(pi),
    archiveCodexSession: { success: true, archivedPath: "/gone" },
  });
});

test("lists show what a machine has, without the conversations", async () => {
  const away = await desk.of("away");
  expect(await away.short("GET", "/api/codex/sessions")).toEqual([
    503,
    { success: false, error: "No online machine available for Codex history import", sessions: [] },
  ]);
  transcript("a", [user("1")]);
  pi.set("p", { id: "p", title: "P", messages: [], activeEntryIds: [], leafEntryId: "e" });
  const { messages: _, ...shown } = codex.get("a") as Json;
  expect(await desk.short("GET", "/api/codex/sessions?machineId=m&cwd=/w")).toEqual([
    200,
    { success: true, sessions: [shown], machineId: "m" },
  ]);
  expect(await desk.short("GET", "/api/pi/sessions")).toEqual([
    200,
    { success: true, sessions: [{ id: "p", title: "P", leafEntryId: "e" }], machineId: "m" },
  ]);
  expect(runner.calls).toEqual([
    ["listCodexSessions", { cwd: "/w" }],
    ["listPiSessions", { cwd: null }],
  ]);
  expect((await desk.short("GET", "/api/codex/sessions?machineId=other"))[0]).toBe(503);
  runner.answers.set("listCodexSessions", { success: false, error: "no disk" });
  expect(await desk.short("GET", "/api/codex/sessions?machineId=m")).toEqual([
    503,
    { success: false, error: "no disk", sessions: [], machineId: "m" },
  ]);
  runner.answers.set("listCodexSessions", null);
  expect(await desk.short("GET", "/api/codex/sessions")).toMatchObject([
    500,
    { success: false, sessions: [] },
  ]);
});

test("a transcript becomes a session, and grows by what is new", async () => {
  const tool = agent({ type: "tool-call", name: "shell", callId: "c", input: {} });
  transcript("a", [user("1"), tool, says("2")]);
  const first = await sync("a");
  expect(first).toMatchObject({ success: true, syncedCount: 1, sessionIds: ["a"] });
  const [id = ""] = first.hapiSessionIds;
  expect(await session(id)).toMatchObject({
    active: false,
    hasConversationContent: true,
    metadata: {
      path: "/w",
      host: "h",
      name: "Title a",
      machineId: "m",
      codexSessionId: "a",
      codexSourceSessionId: "a",
      lifecycleState: "imported",
      flavor: "codex",
      summary: { text: "last" },
    },
  });
  expect(await texts(id)).toEqual(["1", "tool-call", "2"]);
  await desk.ask("PATCH", `/api/sessions/${id}`, { name: "Mine" });
  // The runner makes new ids for parts each time that it reads.
  transcript("a", [
    user("1"),
    { ...tool, content: agent({ type: "tool-call", name: "shell", callId: "c", input: {} }).content },
    says("2"),
    user("3"),
  ]);
  expect(await sync("a", "b", "a")).toMatchObject({
    success: false,
    error: "Transcript not found for Codex session: b",
    syncedCount: 1,
    sessionIds: ["a", "b"],
  });
  expect(await texts(id)).toEqual(["1", "tool-call", "2", "3"]);
  expect((await session(id)).metadata.name).toBe("Mine");
  expect(await sync("a")).toMatchObject({
    success: true,
    output: expect.stringContaining("Appended messages: 0"),
  });
  expect((await rows(id)).every(({ invokedAt }) => invokedAt !== null)).toBe(true);
});

test("a transcript that tells another story gets a session of its own, and both are named as doubles", async () => {
  transcript("d", [user("1"), says("2")]);
  const [first = ""] = (await sync("d")).hapiSessionIds;
  transcript("d", [user("1"), says("other")]);
  const [second = ""] = (await sync("d")).hapiSessionIds;
  expect(second).not.toBe(first);
  expect(await texts(first)).toEqual(["1", "2"]);
  expect(await post("/api/codex/duplicate-sessions", { sessionIds: ["d", "x"] })).toEqual([
    200,
    { success: true, duplicates: [{ codexSessionId: "d", hapiSessionIds: [second, first] }] },
  ]);
  expect(await post("/api/codex/duplicate-sessions", {})).toMatchObject([200, { success: false }]);
});

test("a session that its own CLI told goes on where its last words were, and not while it runs", async () => {
  const id = await desk.session({ flavor: "codex", codexSessionId: "own", machineId: "m" });
  const cli = await desk.sessionCli(id);
  for (const message of [user("1"), agent({ type: "reasoning", message: "hm" }), says("2")])
    cli.emit("message", { sid: id, message });
  await cli.flush();
  const usage = agent({ type: "token_count", info: {} });
  transcript("own", [user("1"), says("2"), usage, user("3"), says("4")]);
  const before = await session(id);
  expect(await sync("own")).toMatchObject({ success: false, syncedCount: 0 });
  expect((await session(id)).metadata).toEqual(before.metadata);
  cli.emit("session-end", { sid: id, time: Date.now() });
  await cli.flush();
  expect((await sync("own")).hapiSessionIds).toEqual([id]);
  expect(await texts(id)).toEqual(["1", "hm", "2", "3", "4"]);
});

test("what cannot be taken over is told, and costs the others nothing", async () => {
  transcript("empty", []);
  transcript("odd", [5]);
  transcript("nowhere", [user("1")], { cwd: null });
  transcript("good", [user("1")]);
  expect(await sync("empty", "odd", "nowhere", "good")).toMatchObject({
    success: false,
    error: "No importable conversation content found in transcript: /f/empty",
    syncedCount: 1,
  });
  for (const [body, error] of [
    [{}, "No Codex sessions selected"],
    [{ sessionIds: [] }, "No Codex sessions selected"],
    [{ sessionIds: ["", 5] }, "Invalid sessionIds"],
    [{ sessionIds: "a" }, "Invalid sessionIds"],
    [{ sessionIds: ["a"], machineId: "x" }, "No online machine available for Codex history import"],
  ])
    expect(await post("/api/codex/sync-session", body)).toMatchObject([200, { success: false, error }]);
  expect(await post("/api/pi/import-sessions", { sessionIds: [5] })).toEqual([
    400,
    { success: false, error: "No Pi sessions selected", results: [] },
  ]);
});

test("two imports at once make one session of a history", async () => {
  transcript("twice", [user("1")]);
  const answers = await Promise.all([sync("twice"), sync("twice")]);
  expect(answers.map(({ success }) => success).sort()).toEqual([false, true]);
});

test("a machine moves a transcript away", async () => {
  const archive = (body: Json) => post("/api/codex/archive-session", body);
  expect(await archive({})).toEqual([400, { success: false, error: "sessionId is required" }]);
  expect(await archive({ sessionId: "a" })).toEqual([
    200,
    { success: true, archivedPath: "/gone", machineId: "m" },
  ]);
  expect(runner.calls).toEqual([["archiveCodexSession", { sessionId: "a" }]]);
  runner.answers.set("archiveCodexSession", { success: false, error: "gone already" });
  expect(await archive({ sessionId: "a" })).toMatchObject([500, { success: false, error: "gone already" }]);
  expect(await desk.short("GET", "/api/codex/status")).toEqual([
    200,
    { success: true, codexDesktopRunning: false, codexClientAvailable: false },
  ]);
  expect(await post("/api/codex/restart-desktop", {})).toMatchObject([200, { success: false }]);
});

const entry = (entryId: string, kind: string, text: string, createdAt: number) => ({
  localId: `pi:p:${entryId}:${kind}`,
  entryId,
  parentEntryId: null,
  createdAt,
  content: kind === "user" ? user(text) : says(text),
});
const history = (entries: ReturnType<typeof entry>[], more: Json = {}) =>
  pi.set("p", {
    id: "p",
    title: "P",
    cwd: "/w",
    file: "/f/p",
    model: "large",
    thinkingLevel: "off",
    leafEntryId: entries.at(-1)?.entryId ?? null,
    messages: entries,
    activeEntryIds: entries.map(({ entryId }) => entryId),
    ...more,
  });

test("a history of Pi's keeps its times and ids, grows, and is not mixed with another branch", async () => {
  const [one, two] = [entry("e1", "user", "1", 1_700_000_002_000), entry("e2", "0", "2", 1_700_000_001_000)];
  history([one, two]);
  const [taken] = (await take("p", "none")).results;
  const id = taken?.hapiSessionId ?? "";
  expect(taken).toMatchObject({ action: "created", appended: 2 });
  expect(
    (await rows(id)).map(({ localId, createdAt, invokedAt }) => [localId, createdAt, invokedAt]),
  ).toEqual([
    [two.localId, two.createdAt, two.createdAt],
    [one.localId, one.createdAt, one.createdAt],
  ]);
  expect(await session(id)).toMatchObject({
    model: "large",
    effort: "off",
    metadata: {
      path: "/w",
      host: "h",
      piSessionId: "p",
      lifecycleState: "archived",
      archivedBy: "pi-import",
      conversationHistoryPoints: { [one.localId]: true },
      conversationHistoryEntryIds: { [one.localId]: "e1" },
      piHistoryLeafEntryId: "e2",
      piImportState: { state: "complete", leafEntryId: "e2", sourceFile: "/f/p" },
    },
  });
  expect((await take("p")).results).toMatchObject([{ hapiSessionId: id, action: "unchanged", appended: 0 }]);
  history([one, two, entry("e3", "user", "3", 1_700_000_003_000)]);
  expect(await take("p")).toMatchObject({ success: true, results: [{ action: "updated", appended: 1 }] });
  expect((await session(id)).metadata.piHistoryLeafEntryId).toBe("e3");
  history([one, entry("e4", "user", "branch", 1_700_000_003_000)]);
  expect((await take("p")).results).toMatchObject([{ error: { code: "transcript_diverged" } }]);
  history([one, two, entry("e3", "user", "3", 1_700_000_003_000)], { activeEntryIds: ["e1", "e2"] });
  expect((await take("p")).results).toMatchObject([
    { error: { message: "The active Pi branch no longer contains the last imported entry" } },
  ]);
  expect((await session(id)).metadata).toMatchObject({
    piImportState: { state: "diverged" },
    piHistoryLeafEntryId: "e3",
  });
  expect((await rows(id)).length).toBe(3);
  expect((await take("none")).results).toMatchObject([{ error: { code: "not_found" } }]);
});

test("a session of Pi's that runs is not written into, nor is one of another machine", async () => {
  pi.set("q", { ...history([entry("e1", "user", "1", 1_700_000_000_000)]).get("p"), id: "q" });
  const id = await desk.session({ flavor: "pi", piSessionId: "q", machineId: "m", name: "Runs" });
  const cli = await desk.sessionCli(id);
  expect(await take("q")).toMatchObject({
    success: false,
    results: [{ hapiSessionId: id, error: { code: "session_active" } }],
  });
  expect((await session(id)).metadata.lifecycleState).toBeUndefined();
  cli.emit("session-end", { sid: id, time: Date.now() });
  await cli.flush();
  // The end of the one above looks for its twins in the background (hub/merging.ts), whatever their machines: that is over after these.
  for (let others = 0; others < 5; others++) await desk.session({ flavor: "pi", piSessionId: `q${others}` });
  const other = await desk.session({ flavor: "pi", piSessionId: "q", machineId: "elsewhere" });
  expect((await take("q")).results).toMatchObject([{ hapiSessionId: id, action: "updated", appended: 1 }]);
  expect((await session(id)).metadata.name).toBe("Runs");
  expect(await rows(other)).toEqual([]);
});
