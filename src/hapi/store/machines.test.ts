// A machine is its first namespace's; registering again lays keys over what is stored and never touches its runner's state.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { granted, openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import type { HapiStore } from "./contract.ts";

let all: TestHapiStore;
let store: HapiStore;
beforeEach(() => {
  all = openTestHapiStore();
  store = all.store;
});
afterEach(() => all.close());

const key = (id: string, namespace = "default") => ({ namespace, id });
const register = (metadata: unknown, runnerState?: unknown, namespace = "default") =>
  store.registerMachine({ namespace, id: "m", metadata, ...(runnerState !== undefined && { runnerState }) });

test("keys that are given are laid over the stored ones, and only a change counts as one", async () => {
  const first = { host: "h", displayName: "mine", gone: 1 };
  expect(await register(first, { status: "offline" })).toMatchObject({
    kind: "created",
    row: { metadata: first, metadataVersion: 1, runnerState: { status: "offline" }, seq: 0 },
  });
  await all.write("UPDATE machines SET updated_at = 5");
  expect(await register({ host: "h" }, { status: "other" })).toMatchObject({
    kind: "unchanged",
    row: { metadata: first, metadataVersion: 1, runnerState: { status: "offline" }, updatedAt: 5 },
  });
  const changed = await register({ host: "i", gone: null });
  expect(changed).toMatchObject({
    kind: "changed",
    row: { metadata: { host: "i", displayName: "mine", gone: null }, metadataVersion: 2, seq: 1 },
  });
  expect(await register("no object")).toMatchObject({ kind: "unchanged", row: { metadataVersion: 2 } });
});

test("what a runner can do is what it said last; one of its sessions takes nothing away", async () => {
  const kept = { host: "h", displayName: "mine", workspaceRoots: ["/w"] };
  const own = { capabilities: ["stop-runner"], supervisedRestart: true, startedCliMtimeMs: 1 };
  await register({ ...kept, ...own });
  const machine = { id: "m", metadata: { host: "h" } };
  await store.openSession({ namespace: "default", tag: "t", metadata: {}, machine });
  expect(await store.findMachine(key("m"))).toMatchObject({ metadata: { ...kept, ...own } });
  // Started anew by hand: to stop it would leave the host without one.
  expect(granted(await register({ host: "h" })).row).toMatchObject({ metadataVersion: 2 });
  expect((await store.findMachine(key("m"))) as object).toHaveProperty("metadata", kept);
  expect(await register({ host: "h" })).toMatchObject({ kind: "unchanged" });
});

test("another namespace is refused, and learns nothing", async () => {
  await register({ host: "h" });
  expect(await register({ host: "x" }, null, "other")).toBe("access-denied");
  expect(await store.findMachine(key("m", "other"))).toBe("access-denied");
  expect(await store.findMachine(key("n"))).toBe("not-found");
  expect(await store.listMachines("other")).toEqual([]);
  expect((await store.listMachines("default")).map(({ id }) => id)).toEqual(["m"]);
});

test("a runner's state is swapped like the other values, and marks the row active as the released hub does", async () => {
  await register({ host: "h" });
  const change = { key: key("m"), expectedVersion: 1, value: { status: "running" } };
  expect(await store.changeRunnerState(change)).toMatchObject({ kind: "success", version: 2 });
  expect(await store.changeRunnerState(change)).toEqual({
    kind: "version-mismatch",
    version: 2,
    value: { status: "running" },
  });
  expect(all.sql("SELECT active, active_at IS NOT NULL AS at FROM machines")).toEqual([{ active: 1, at: 1 }]);
  const renamed = await store.editMachineMetadata({
    key: key("m"),
    edit: (stored) => ({ ...(stored as object), displayName: "d" }),
  });
  expect(granted(renamed).row).toMatchObject({
    metadata: { host: "h", displayName: "d" },
    metadataVersion: 2,
  });
});

test("presence is of its last transition, of whoever is still there, and survives", async () => {
  await register({ host: "h" });
  await all.write("UPDATE machines SET active = 1, active_at = 3");
  expect((await store.listPresent()).machines).toEqual([
    { id: "m", namespace: "default", presence: { active: true, activeAt: 3 } },
  ]);
  const session = await all.session("t");
  const presence = {
    active: true,
    activeAt: 9,
    thinking: true,
    thinkingAt: 8,
    activeTurnStartedAt: 7,
    backgroundTaskCount: 2,
    permissionMode: "plan",
    collaborationMode: "default",
    copilotAgentMode: null,
  };
  await store.storePresence({
    sessions: [
      { id: session, presence },
      { id: "gone", presence },
    ],
    machines: [
      { id: "m", presence: { active: false, activeAt: 4 } },
      { id: "gone", presence },
    ],
  });
  expect(await store.listPresent()).toEqual({
    sessions: [{ id: session, namespace: "default", presence }],
    machines: [],
  });
  expect(granted(await store.findMachine(key("m"))).presence).toEqual({ active: false, activeAt: 4 });
  await all.write("UPDATE sessions SET active = 1");
  await store.storePresence({ sessions: [{ id: session, presence: { ...presence, active: false } }] });
  expect(all.sql("SELECT active, active_at FROM sessions")).toEqual([{ active: 0, active_at: 9 }]);
});

test("when a session was there last is known to whichever hub comes next", async () => {
  const id = await all.session("t");
  const key = { namespace: "default", id };
  // As the released hub leaves it.
  await all.write("UPDATE sessions SET active_at = 70 WHERE id = ?", id);
  expect(granted(await store.findSession(key)).presence).toMatchObject({ active: false, activeAt: 70 });
  expect(await store.listSessions("default")).toMatchObject([{ presence: { activeAt: 70 } }]);
  const presence = {
    active: true,
    activeAt: 80,
    thinking: false,
    thinkingAt: 0,
    activeTurnStartedAt: null,
    backgroundTaskCount: 0,
    permissionMode: null,
    collaborationMode: null,
    copilotAgentMode: null,
  };
  const stored = () => all.sql("SELECT active, active_at AS at FROM sessions")[0];
  await store.storePresence({ sessions: [{ id, presence }] });
  expect(stored()).toEqual({ active: 0, at: 70 });
  await store.storePresence({ sessions: [{ id, presence: { ...presence, active: false } }] });
  expect(stored()).toEqual({ active: 0, at: 80 });
  expect(granted(await store.findSession(key)).presence).toMatchObject({ active: false, activeAt: 80 });
});
