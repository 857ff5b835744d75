// Going on with a session: in place or under a new id, once for all who ask, and without losing anything.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestHub, PLACE, type TestHub } from "../../../test/support/hapi-hub.ts";
import { FLAVOURS } from "../wire/flavours.ts";
import { Resuming } from "./resume.ts";

let t: TestHub;
let sid: string;
const key = (id = sid) => ({ namespace: "default", id });
const SPAWN = "m1:spawn-happy-session";

beforeEach(async () => {
  t = openTestHub();
  sid = await t.session("old", {
    ...PLACE,
    machineId: "m1",
    claudeSessionId: "c1",
    name: "Mine",
    preferredPermissionMode: "plan",
  });
});
afterEach(() => t.all.close());

const say = (id: string, text: string, localId?: string) =>
  t.hub.messages.fromCli(
    { namespace: "default", sid: id, content: { role: "user", content: { type: "text", text } }, localId },
    {},
  );

/** The runner starts an agent that reports as this session. */
const starts = (id: () => Promise<string> | string) =>
  t.rpc.set(SPAWN, async () => {
    const sessionId = await id();
    setTimeout(() => void t.alive(sessionId), 5);
    return { type: "success", sessionId };
  });

test("an agent that re-attaches goes on in place, with what is stored of it", async () => {
  await t.machine();
  await t.store.setSessionColumns(key(), { model: "opus", effort: "high" });
  starts(() => sid);
  expect(await t.hub.resuming.resume(key())).toEqual({ ok: true, sessionId: sid });
  expect(t.called).toEqual([
    [
      SPAWN,
      {
        type: "spawn-in-directory",
        directory: PLACE.path,
        agent: "claude",
        model: "opus",
        effort: "high",
        permissionMode: "plan",
        resumeSessionId: "c1",
        existingSessionId: sid,
        sessionId: sid,
        forkSession: false,
      },
    ],
  ]);
  expect(await t.hub.resuming.resume(key())).toEqual({ ok: true, sessionId: sid });
  expect(t.called).toHaveLength(1);
});

test("under a new id the history goes over, in order, and everybody is told", async () => {
  await t.machine();
  await say(sid, "one");
  await say(sid, "two", "both");
  await t.store.setSessionColumns(key(), { model: "opus", pinned: true });
  let next = "";
  starts(async () => {
    next = await t.session("new", { path: "/new", host: "devbox", claudeSessionId: "c2" });
    await say(next, "three", "both");
    t.told.length = 0;
    return next;
  });
  expect(await t.hub.resuming.resume(key())).toEqual({ ok: true, sessionId: next });
  const types = t.web().map(({ type }) => type);
  expect(types.slice(1, 4)).toEqual(["messages-invalidated", "session-removed", "session-updated"]);
  expect(await t.store.findSession(key())).toBe("not-found");
  expect(await t.store.findSession(key(next))).toMatchObject({
    metadata: { path: "/new", name: "Mine", claudeSessionId: "c2" },
    model: "opus",
    pinned: true,
  });
  const rows = await t.store.firstMessages(next, 10);
  expect(rows.map(({ seq, localId }) => [seq, localId])).toEqual([
    [1, null],
    [2, null],
    [3, "both"],
  ]);
});

test("two who ask at once get one agent", async () => {
  await t.machine();
  starts(() => sid);
  const both = await Promise.all([t.hub.resuming.resume(key()), t.hub.resuming.resume(key())]);
  expect(both).toEqual([
    { ok: true, sessionId: sid },
    { ok: true, sessionId: sid },
  ]);
  expect(t.called).toHaveLength(1);
});

describe("refused with the literal texts", () => {
  const resume = () => t.hub.resuming.resume(key());

  test("no machine, or one of another host or namespace", async () => {
    await t.machine("m2", { host: "elsewhere", platform: "p", happyCliVersion: "v" });
    await t.machine("m3", { host: "devbox", platform: "p", happyCliVersion: "v" }, "other");
    expect(await resume()).toEqual({ ok: false, code: "no-machine", error: "No machine online" });
  });

  test("no folder; no id of the agent where it has said something", async () => {
    await t.machine();
    sid = await t.session("odd", { host: "devbox" });
    expect(await resume()).toMatchObject({
      code: "resume-unavailable",
      error: "Session metadata missing path",
    });
    sid = await t.session("said", { ...PLACE, machineId: "m1" });
    await say(sid, "hello");
    expect(await resume()).toMatchObject({
      code: "resume-unavailable",
      error: expect.stringContaining("Resume session ID unavailable."),
    });
  });

  test("what the runner says, and nothing for too long", async () => {
    await t.machine();
    expect(await resume()).toMatchObject({
      code: "resume-failed",
      error: `RPC handler not registered: ${SPAWN}`,
    });
    t.rpc.set(SPAWN, { type: "error", errorMessage: "no disk" });
    expect(await resume()).toMatchObject({ code: "resume-failed", error: "no disk" });
    t.rpc.set(SPAWN, { type: "success", sessionId: sid });
    const { core, merging, spawning } = t.hub;
    const impatient = new Resuming({ core, merging, spawning, withinMs: 20 });
    expect(await impatient.resume(key())).toMatchObject({ error: "Session failed to become active" });
  });

  test("a runner cannot hand over a session of another namespace", async () => {
    await t.machine();
    const theirs = await t.session("theirs", PLACE, "other");
    await t.alive(theirs, {}, "other");
    t.rpc.set(SPAWN, { type: "success", sessionId: theirs });
    const { core, merging, spawning } = t.hub;
    expect(await new Resuming({ core, merging, spawning, withinMs: 20 }).resume(key())).toMatchObject({
      error: "Session failed to become active",
    });
    expect(await t.store.findSession({ namespace: "other", id: theirs })).toMatchObject({ id: theirs });
  });

  test("a mode that its agent has not", async () => {
    expect(await t.hub.resuming.resume(key(), "yolo")).toMatchObject({
      code: "invalid",
      error: "Invalid permission mode for session flavor",
    });
  });
});

test.each([...FLAVOURS, "unknown"])(
  "a session of %s that never began starts fresh, on a machine of the same host",
  async (flavor) => {
    await t.machine();
    sid = await t.session("fresh", { ...PLACE, flavor });
    starts(() => sid);
    expect(await t.hub.resuming.resume(key())).toEqual({ ok: true, sessionId: sid });
    expect(t.called[0]?.[1]).not.toHaveProperty("resumeSessionId");
  },
);

describe("reopen", () => {
  test("of an archived Cursor session whose own id is lost is refused, with what is missing", async () => {
    const cursor = { ...PLACE, machineId: "m1", flavor: "cursor" };
    const archived = await t.session("lost", { ...cursor, lifecycleState: "archived" });
    const running = await t.session("other", { ...cursor, lifecycleState: "running" });
    for (const id of [archived, running]) await say(id, "hi");
    const before = await t.store.findAnySession(archived);
    expect(await t.hub.resuming.reopen(key(archived))).toEqual({
      ok: false,
      code: "incomplete",
      error: "Cursor session id is missing from metadata; reopen requires the original cursor chat id",
      missing: ["cursorSessionId"],
    });
    expect((await t.store.findAnySession(archived))?.metadataVersion).toBe(before?.metadataVersion ?? 0);
    // No machine is there, and none would help.
    expect(await t.hub.resuming.reopen(key(running))).toMatchObject({ code: "resume-unavailable" });
  });

  const archived = {
    lifecycleState: "archived",
    lifecycleStateSince: 5,
    archivedBy: "hub",
    archiveReason: "r",
    odd: 1,
  };
  beforeEach(async () => {
    sid = await t.session("archived", { ...PLACE, machineId: "m1", claudeSessionId: "c1", ...archived });
    t.told.length = 0;
  });

  test("what is archived is not any more", async () => {
    await t.machine();
    starts(() => sid);
    expect(await t.hub.resuming.reopen(key())).toEqual({
      ok: true,
      sessionId: sid,
      resumed: true,
      cursorSessionProtocol: undefined,
    });
    const row = (await t.store.findSession(key())) as { metadata: object };
    expect(row.metadata).toMatchObject({ odd: 1, lifecycleStateSince: expect.any(Number) });
    for (const gone of ["lifecycleState", "archivedBy", "archiveReason"])
      expect(row.metadata).not.toHaveProperty(gone);
    expect(await t.hub.resuming.reopen(key())).toMatchObject({ resumed: false });
  });

  test("and is again if it does not come back, two versions on", async () => {
    expect(await t.hub.resuming.reopen(key())).toMatchObject({ code: "no-machine" });
    expect(await t.store.findSession(key())).toMatchObject({ metadata: archived, metadataVersion: 3 });
    expect(t.short()).toEqual([
      ["session-updated", "full"],
      ["session-updated", "full"],
    ]);
  });
});
