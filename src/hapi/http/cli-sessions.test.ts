// Sessions as CLIs create, load and catch up with them, and what `hapi resume` is told.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { TestHapiHttp } from "../../../test/support/hapi-http.ts";
import { PLACE, RUNNER } from "../../../test/support/hapi-hub.ts";

let t: TestHapiHttp;
beforeEach(() => {
  t = new TestHapiHttp();
});
afterEach(() => t.close());

const ask = (method: string, path: string, body?: unknown, namespace?: string) =>
  t.ask(method, `/cli/sessions${path}`, body, namespace === undefined ? {} : { namespace });
const open = (body: unknown, namespace?: string) => ask("POST", "", body, namespace);
const sessionOf = ([, body]: readonly unknown[]) =>
  (body as { session: Record<string, unknown> & { id: string } }).session;
const ID = "11111111-2222-4333-8444-555555555555";

test("created once, then loaded by its tag as it is", async () => {
  const made = sessionOf(await open({ tag: "t", metadata: PLACE, agentState: { own: 1 }, model: "opus" }));
  expect(made).toMatchObject({ metadata: PLACE, agentState: { own: 1 }, model: "opus", active: false });
  const again = await open({ tag: "t", metadata: { path: "/x", host: "y" }, agentState: null });
  expect(again).toEqual([200, { session: made, sessionSummaryContract: false }]);
  expect(await ask("GET", `/${made.id}`)).toEqual(again);
  expect(sessionOf(await open({ tag: "t", metadata: PLACE }, "other")).id).not.toBe(made.id);
});

test.each([
  {},
  { tag: "t" },
  { tag: "", metadata: {} },
  { tag: "t", metadata: {}, id: "no uuid" },
  { tag: "t", metadata: {}, model: null },
  { tag: "t", metadata: {}, machine: {} },
  { tag: "t", metadata: {}, machine: { id: "m" } },
  "no JSON",
])("%j makes nothing", async (body) => {
  expect(await open(body)).toEqual([400, { error: "Invalid body" }]);
  expect(await t.hub.store.listSessions("default")).toEqual([]);
});

test("an id of its own is the row's, and stands for one session only", async () => {
  expect(sessionOf(await open({ tag: "t", metadata: null, id: ID }))).toMatchObject({
    id: ID,
    metadata: null,
  });
  expect(await open({ tag: "t", metadata: null, id: crypto.randomUUID() })).toEqual([
    409,
    { error: "Session tag is already bound to a different id" },
  ]);
  expect(await open({ tag: "u", metadata: null, id: ID })).toEqual([
    409,
    { error: "Session id is already bound to a different session" },
  ]);
});

test("its machine is registered first; another namespace's makes nothing", async () => {
  const body = { tag: "t", metadata: PLACE, machine: { id: "m", metadata: RUNNER, runnerState: null } };
  expect((await open(body))[0]).toBe(200);
  expect(await open(body, "other")).toEqual([403, { error: "Machine access denied" }]);
  expect(await t.hub.store.listSessions("other")).toEqual([]);
});

describe("of one session", () => {
  let sid: string;
  beforeEach(async () => {
    sid = await t.hub.session();
  });

  test.each([
    ["GET", "", false],
    ["GET", "/messages", false],
    ["GET", "/resume-target", true],
    ["POST", "/handoff-local", true],
  ])("%s ...%s says first of all who has none such", async (method, path, hasCode) => {
    expect(await ask(method, `/${sid}${path}`, undefined, "other")).toEqual([
      403,
      { error: "Session access denied", ...(hasCode && { code: "access_denied" }) },
    ]);
    expect(await ask(method, `/none${path}`)).toEqual([
      404,
      { error: "Session not found", ...(hasCode && { code: "session_not_found" }) },
    ]);
  });

  test("messages after a seq, in order, without what is for later", async () => {
    await t.hub.alive(sid);
    for (const text of ["a", "b", "c"])
      await t.hub.hub.messages.post({ session: { namespace: "default", id: sid }, text });
    const later = { localId: "later", scheduledAt: Date.now() + 60_000 };
    await t.hub.hub.messages.post({ session: { namespace: "default", id: sid }, text: "d", ...later });
    const seqs = async (query: string) => {
      const [status, body] = await ask("GET", `/${sid}/messages?${query}`);
      return status === 200 ? (body as { messages: { seq: number }[] }).messages.map(({ seq }) => seq) : body;
    };
    expect(await seqs("afterSeq=1")).toEqual([2, 3]);
    expect(await seqs("afterSeq=0&limit=1")).toEqual([1]);
    // An empty number counts as 0 (HTTP contract, 1).
    expect(await seqs("afterSeq=")).toEqual([1, 2, 3]);
    for (const bad of ["", "afterSeq=-1", "afterSeq=x", "afterSeq=0&limit=0", "afterSeq=0&limit=201"])
      expect(await seqs(bad)).toEqual({ error: "Invalid query" });
  });

  test("where to go on in a terminal, if anywhere", async () => {
    const nowhere = await t.hub.session("nowhere", { ...PLACE, path: "" });
    expect(await ask("GET", `/${nowhere}/resume-target`)).toEqual([
      409,
      { error: "Session metadata missing path", code: "resume_unavailable" },
    ]);
    expect(await ask("GET", `/${sid}/resume-target`)).toEqual([
      409,
      {
        error:
          "Resume session ID unavailable. Start a new session in this directory, or retry after the agent has initialized.",
        code: "resume_unavailable",
      },
    ]);
    const metadata = { ...PLACE, machineId: "m", claudeSessionId: "c-1" };
    sid = await t.hub.session("b", metadata);
    const target = { sessionId: sid, flavor: "claude", directory: PLACE.path, agentSessionId: "c-1" };
    expect(await ask("GET", `/${sid}/resume-target`)).toMatchObject([200, { target }]);
    expect(await ask("GET", "/resumable")).toMatchObject([200, { sessions: [target] }]);
    expect(await ask("GET", "/resumable?machineId=m")).toMatchObject([200, { sessions: [target] }]);
    expect(await ask("GET", "/resumable?machineId=n")).toEqual([200, { sessions: [] }]);
    expect(await ask("GET", "/resumable", undefined, "other")).toEqual([200, { sessions: [] }]);
  });

  test("handing over: nothing to do when it is away, else its CLI's word and its end", async () => {
    const handoff = () => ask("POST", `/${sid}/handoff-local`);
    expect(await handoff()).toEqual([200, { ok: true }]);
    await t.hub.alive(sid);
    const method = `${sid}:handoff-local`;
    const failed = (error: string) => [500, { error, code: "handoff_failed" }];
    expect(await handoff()).toEqual(failed(`RPC handler not registered: ${method}`));
    t.hub.rpc.set(method, { error: "busy" });
    expect(await handoff()).toEqual(failed("busy"));
    t.hub.rpc.set(method, async () => {
      await t.hub.hub.lifecycle.end({ session: { namespace: "default", id: sid }, time: t.hub.wall });
      return { ok: true };
    });
    expect(await handoff()).toEqual([200, { ok: true }]);
  });
});
