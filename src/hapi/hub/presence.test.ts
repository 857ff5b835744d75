// Who is there: as CLIs say it, by clocks that may be off, over restarts, and without a write for a keep-alive that changes nothing.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestHub, PLACE, TestHub } from "../../../test/support/hapi-hub.ts";

const DAY = 86_400_000;
let t: TestHub;
let sid: string;
const key = () => ({ namespace: "default", id: sid });
const presence = () => t.hub.core.sessions.get(sid)?.presence;
const NO_MODELS = { model: null, modelReasoningEffort: null, effort: null, serviceTier: null };

beforeEach(async () => {
  t = openTestHub();
  sid = await t.session();
});
afterEach(() => t.all.close());

test("the first keep-alive is told, the next ones only if something changed or 10 s passed (steps 15, 16)", async () => {
  await t.alive(sid, { permissionMode: "default" });
  expect(t.web()).toEqual([
    {
      type: "session-updated",
      namespace: "default",
      sessionId: sid,
      data: {
        active: true,
        activeAt: t.wall,
        thinking: false,
        activeTurnStartedAt: null,
        permissionMode: "default",
        ...NO_MODELS,
      } as object,
    },
  ]);
  for (let second = 0; second < 5; second++) {
    t.pass(2_000);
    await t.alive(sid, { permissionMode: "default" });
  }
  expect(t.web()).toEqual([]);
  t.pass(2_000);
  await t.alive(sid);
  expect(t.short()).toMatchObject([["session-updated", { activeAt: t.wall }]]);
  for (const change of [
    { thinking: true },
    { thinking: false },
    { permissionMode: "plan" },
    { model: "opus" },
  ]) {
    await t.alive(sid, change);
    expect(t.short()).toMatchObject([["session-updated", change]]);
  }
});

test("a keep-alive that changes nothing writes nothing", async () => {
  await t.alive(sid);
  const changes = () =>
    t.all.sql<{ n: number }>("SELECT total_changes() AS n, data_version AS v FROM pragma_data_version");
  const before = changes();
  for (let beat = 0; beat < 20; beat++) {
    t.pass(2_000);
    await t.hub.sessionPresence.alive({ ...key(), sid, time: t.wall });
  }
  await t.settled();
  expect(changes()).toEqual(before);
});

test("models are stored, modes in the metadata, and unknown keys of it survive (17.5)", async () => {
  const odd = await t.session("odd", { ...PLACE, odd: { kept: [1] } });
  await t.alive(odd, { model: "opus", effort: "high", permissionMode: "plan", copilotAgentMode: "plan" });
  expect(await t.store.findSession({ namespace: "default", id: odd })).toMatchObject({
    model: "opus",
    effort: "high",
    metadata: {
      ...PLACE,
      odd: { kept: [1] },
      preferredPermissionMode: "plan",
      preferredCopilotAgentMode: "plan",
    },
    metadataVersion: 2,
  });
  await t.alive(odd, { model: null, permissionMode: "plan" });
  expect(await t.store.findSession({ namespace: "default", id: odd })).toMatchObject({
    model: null,
    metadataVersion: 2,
  });
});

// Upstream fault: whatever comes is stored and comes out again (hapi-socket 17.4).
test("members of a wrong type say nothing", async () => {
  await t.alive(sid, { permissionMode: "plan", model: "opus" });
  t.web();
  for (const odd of [5, {}, [], "", "x".repeat(1_000)]) {
    await t.alive(sid, {
      permissionMode: odd,
      model: odd,
      effort: odd,
      collaborationMode: odd,
      copilotAgentMode: odd,
    });
  }
  await t.alive(sid, { thinking: "yes", collaborationMode: "odd" });
  expect(t.web()).toEqual([]);
  expect(presence()).toMatchObject({ permissionMode: "plan", collaborationMode: null, thinking: false });
});

test("who is not the namespace's own is not heard (step 20)", async () => {
  const alive = (namespace: string, id: string) =>
    t.hub.sessionPresence.alive({ namespace, sid: id, time: t.wall });
  expect(await alive("default", "nobody")).toBe("not-found");
  expect(await alive("other", sid)).toBe("access-denied");
  await t.alive(sid);
  expect(await alive("other", sid)).toBe("access-denied");
});

describe("clocks that are off", () => {
  test("ahead counts as now", async () => {
    await t.alive(sid, { time: t.wall + DAY });
    expect(presence()).toMatchObject({ active: true, activeAt: t.wall });
  });

  test("one that claims to be old is not heard", async () => {
    await t.alive(sid, { time: t.wall - DAY });
    expect(presence()).toBeUndefined();
  });

  test("a clock that is a day behind is heard with its second beat, and stays", async () => {
    for (let beat = 0; beat < 20; beat++) {
      await t.alive(sid, { time: t.wall - DAY });
      t.pass(2_000);
      t.hub.sessionPresence.sweep();
    }
    expect(presence()).toMatchObject({ active: true });
  });

  test("old ones that were held up and come at once are not", async () => {
    for (const apart of [2_000, 100]) {
      for (let beat = 0; beat < 20; beat++) {
        await t.hub.sessionPresence.alive({ ...key(), sid, time: t.wall - DAY + beat * apart });
      }
    }
    expect(presence()).toBeUndefined();
  });

  test("the hub's own clock may step a day either way: nobody goes or stays for it", async () => {
    await t.alive(sid);
    for (const step of [DAY, -2 * DAY, DAY]) {
      t.wall += step;
      t.hub.sessionPresence.sweep();
      expect(presence()).toMatchObject({ active: true });
    }
    t.steady += 31_000;
    t.hub.sessionPresence.sweep();
    expect(presence()).toBeUndefined();
  });
});

test("a session is gone after more than 30 s, and a machine after more than 45 s", async () => {
  await t.alive(sid, { thinking: true });
  await t.machine();
  t.web();
  t.pass(30_000);
  t.hub.sessionPresence.sweep();
  t.hub.machinePresence.sweep();
  await t.settled();
  expect(t.web()).toEqual([]);
  t.pass(1);
  t.hub.sessionPresence.sweep();
  await t.settled();
  expect(t.short()).toEqual([["session-updated", { active: false }]]);
  t.pass(15_000);
  t.hub.machinePresence.sweep();
  await t.settled();
  expect(t.short()).toEqual([["machine-updated", { active: false }]]);
  expect(await t.hub.sessions.view(key())).toMatchObject({ session: { active: false, thinking: false } });
  expect(await t.hub.machines.listActive("default")).toEqual([]);
});

// Upstream fault: all sessions are inactive after a restart (issue 9: a restart changes no session's state).
test("who was there is there after a restart, with the whole grace", async () => {
  await t.alive(sid, { thinking: true, permissionMode: "plan", collaborationMode: "plan" });
  await t.machine();
  const away = await t.session("away");
  const next = new TestHub(t.all);
  next.wall = t.wall + 3_600_000;
  await next.hub.start();
  next.hub.stop();
  expect(await next.hub.sessions.view(key())).toMatchObject({
    session: { active: true, thinking: true, permissionMode: "plan", collaborationMode: "plan" },
  });
  expect(await next.hub.sessions.view({ namespace: "default", id: away })).toMatchObject({
    session: { active: false },
  });
  expect(await next.hub.machines.listActive("default")).toHaveLength(1);
  expect(next.web()).toEqual([]);
  next.steady += 30_001;
  next.hub.sessionPresence.sweep();
  await next.settled();
  expect(next.short()).toEqual([["session-updated", { active: false }]]);
});

test("a process that stood still reads what it was sent before it calls anybody gone", async () => {
  await t.hub.start();
  t.hub.stop();
  await t.alive(sid);
  t.pass(60_000);
  await t.hub.tick();
  expect(presence()).toMatchObject({ active: true });
  t.pass(5_000);
  await t.hub.tick();
  expect(presence()).toBeUndefined();
});

describe("the hold after a message of the web (15 s)", () => {
  const post = () => t.hub.messages.post({ session: key(), text: "x", localId: crypto.randomUUID() });
  const beat = async (thinking: boolean, after = 0) => {
    t.pass(after);
    await t.alive(sid, { thinking });
    return presence()?.thinking;
  };
  beforeEach(async () => {
    await t.alive(sid);
    await post();
    await t.settled();
  });

  test("a false keep-alive does not end it before", async () => {
    expect(await beat(false, 14_000)).toBeTrue();
    expect(await beat(false, 2_000)).toBeFalse();
  });

  test("a true one and then a false one do", async () => {
    expect(await beat(true, 1_000)).toBeTrue();
    expect(await beat(false, 1_000)).toBeFalse();
    expect(presence()?.activeTurnStartedAt).toBeNull();
  });

  test("taking it does not, unless the CLI says so", async () => {
    const consumed = { session: key(), localIds: ["any"] };
    await t.hub.queue.consumed(consumed, {});
    expect(await beat(false, 1_000)).toBeTrue();
    await t.hub.queue.consumed({ ...consumed, clearsHold: true }, {});
    expect(await beat(false, 1_000)).toBeFalse();
  });
});

test("a keep-alive from before a change of the web says nothing of what was changed", async () => {
  await t.alive(sid, { permissionMode: "default" });
  t.rpc.set(`${sid}:set-session-config`, (config: object) => ({ applied: config }));
  t.pass(1_000);
  expect(await t.hub.config.setPermissionMode(key(), "plan")).toEqual({ ok: true });
  await t.alive(sid, { permissionMode: "default", time: t.wall - 500 });
  expect(presence()?.permissionMode).toBe("plan");
  await t.alive(sid, { permissionMode: "default", time: t.wall + 1 });
  expect(presence()?.permissionMode).toBe("default");
});

test("a clock that is behind silences a CLI's modes for ten seconds at most", async () => {
  await t.alive(sid, { permissionMode: "default" });
  t.rpc.set(`${sid}:set-session-config`, (config: object) => ({ applied: config }));
  await t.hub.config.setPermissionMode(key(), "plan");
  t.pass(10_000);
  await t.alive(sid, { permissionMode: "auto", time: t.wall - 300_000 });
  expect(presence()?.permissionMode).toBe("auto");
});

test("a runner is told of when it comes, every 10 s, and when its figures change", async () => {
  await t.store.registerMachine({
    namespace: "default",
    id: "m1",
    metadata: { host: "h", platform: "p", happyCliVersion: "v" },
  });
  const alive = async (health?: unknown) => {
    await t.hub.machinePresence.alive({ namespace: "default", machineId: "m1", time: t.wall, health });
    await t.settled();
    return t.web().map((event) => ("data" in event ? (event.data as { health: unknown }).health : event));
  };
  expect(await alive()).toEqual([null]);
  expect(await alive()).toEqual([]);
  expect(await alive({ collectedAt: 1, cpuCount: 8 })).toEqual([{ collectedAt: 1, cpuCount: 8 }]);
  expect(await alive({ collectedAt: 2, cpuCount: 8 })).toEqual([]);
  t.pass(10_001);
  expect(await alive({ collectedAt: 3, cpuCount: "odd" })).toEqual([null]);
  expect(await t.hub.machinePresence.alive({ namespace: "other", machineId: "m1", time: t.wall })).toBe(
    "access-denied",
  );
});
