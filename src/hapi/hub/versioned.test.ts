// Compare-and-swap: acknowledged exactly once on every path, before anybody is told, and never lost to the hub's own keys.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestHub, PLACE, RUNNER, TestHub } from "../../../test/support/hapi-hub.ts";
import type { VersionedAck } from "./versioned.ts";

let t: TestHub;
let sid: string;
const socket = {};
beforeEach(async () => {
  t = openTestHub();
  sid = await t.session();
});
afterEach(() => t.all.close());

type Deed = "metadata" | "agentState" | "machineMetadata" | "runnerState";

async function write(deed: Deed, expectedVersion: number, value: unknown, more: object = {}) {
  const acks: VersionedAck[] = [];
  const toldAtAck: number[] = [];
  await t.hub.values[deed]({
    namespace: "default",
    id: deed === "metadata" || deed === "agentState" ? sid : "m1",
    expectedVersion,
    value,
    socket,
    acknowledge: (ack) => {
      acks.push(ack);
      toldAtAck.push(t.told.length);
    },
    ...more,
  });
  expect(acks).toHaveLength(1);
  return { ack: acks[0], toldAtAck: toldAtAck[0] };
}

test("success is acknowledged before others are told, of the merged value (steps 40, 45)", async () => {
  const { ack, toldAtAck } = await write("metadata", 1, { lifecycleState: "archived" });
  const merged = { lifecycleState: "archived", ...PLACE };
  expect(ack).toEqual({ result: "success", version: 2, metadata: merged });
  expect(toldAtAck).toBe(0);
  expect(t.told).toMatchObject([
    {
      to: { session: sid },
      except: socket,
      envelope: {
        body: { t: "update-session", sid, metadata: { version: 2, value: merged }, agentState: null },
      },
    },
    { event: { type: "session-updated", data: { metadata: { version: 2, value: merged } } } },
  ]);
});

test("a write from another version gets the stored one, and tells nobody (step 41)", async () => {
  await write("metadata", 1, { ...PLACE, name: "a" });
  t.told.length = 0;
  const { ack } = await write("metadata", 1, { ...PLACE, name: "b" });
  expect(ack).toEqual({ result: "version-mismatch", version: 2, metadata: { ...PLACE, name: "a" } });
  expect(t.told).toEqual([]);
});

test("what is not there, or not the namespace's own, is acknowledged with why (step 43)", async () => {
  expect((await write("metadata", 1, {}, { id: "nope" })).ack).toEqual({
    result: "error",
    reason: "not-found",
  });
  expect((await write("agentState", 1, {}, { namespace: "other" })).ack).toEqual({
    result: "error",
    reason: "access-denied",
  });
});

test("agent state, null too (step 46)", async () => {
  const state = { controlledByUser: false, requests: { a: { tool: "Bash", arguments: {}, createdAt: 7 } } };
  expect((await write("agentState", 1, state)).ack).toEqual({
    result: "success",
    version: 2,
    agentState: state,
  });
  expect((await write("agentState", 2, null)).ack).toEqual({
    result: "success",
    version: 3,
    agentState: null,
  });
});

test("a machine's values are told in full (step 49)", async () => {
  await t.machine();
  t.told.length = 0;
  const state = { status: "running", pid: 1 };
  expect((await write("runnerState", 1, state)).ack).toEqual({
    result: "success",
    version: 2,
    runnerState: state,
  });
  expect(t.told).toMatchObject([
    {
      to: { machine: "m1" },
      envelope: { body: { t: "update-machine", runnerState: { version: 2, value: state } } },
    },
    { event: { type: "machine-updated", machineId: "m1", data: { id: "m1", runnerState: state } } },
  ]);
});

test("a value that clients would not understand is told as none, in full (hapi-http-sse A6)", async () => {
  for (const [deed, value] of [
    ["metadata", { ...PLACE, tools: "no list" }],
    ["metadata", 5],
    ["agentState", { requests: "no map" }],
  ] as const) {
    const version = deed === "metadata" && value === 5 ? 2 : 1;
    t.told.length = 0;
    expect((await write(deed, version, value)).ack).toMatchObject({ result: "success", [deed]: value });
    expect(t.web()).toMatchObject([{ type: "session-updated", data: { id: sid, [deed]: null } }]);
  }
  await write("metadata", 3, PLACE);
  expect(t.web()).toMatchObject([{ data: { metadata: { version: 4, value: PLACE } } }]);
});

test("a runner that writes what it does is there (hapi-socket 9)", async () => {
  await t.store.registerMachine({ namespace: "default", id: "m1", metadata: RUNNER });
  await write("runnerState", 1, { status: "running" });
  expect(t.web()).toMatchObject([{ type: "machine-updated", data: { id: "m1", active: true } }]);
  t.pass(40_000);
  await write("runnerState", 2, { status: "shutting-down" });
  t.told.length = 0;
  t.pass(40_000);
  t.hub.machinePresence.sweep();
  await t.settled();
  expect(t.web()).toEqual([]);
  t.pass(6_000);
  t.hub.machinePresence.sweep();
  await t.settled();
  expect(t.web()).toMatchObject([{ type: "machine-updated", machineId: "m1", data: { active: false } }]);
  // What another hub left in the database is not what is now.
  expect((await t.store.listPresent()).machines).toEqual([]);
});

test("a disk that refuses is acknowledged as an error", async () => {
  const broken = Object.assign(Object.create(t.store), {
    changeMetadata: () => Promise.reject(new Error("the disk is full")),
  });
  const failing = new TestHub(t.all, broken);
  const acks: VersionedAck[] = [];
  const writing = failing.hub.values.metadata({
    namespace: "default",
    id: sid,
    expectedVersion: 1,
    value: {},
    socket,
    acknowledge: (ack) => acks.push(ack),
  });
  expect(writing).rejects.toThrow("the disk is full");
  await writing.catch(() => undefined);
  expect(acks).toEqual([{ result: "error" }]);
});

// Upstream fault: a keep-alive moves the version behind the CLI's back, and its next write is refused (hapi-socket 17.7).
test("a CLI does not notice what the hub itself notes in its metadata", async () => {
  await t.alive(sid, { permissionMode: "plan" });
  await t.alive(sid, { permissionMode: "default" });
  expect(await t.store.findSession({ namespace: "default", id: sid })).toMatchObject({ metadataVersion: 3 });
  const { ack } = await write("metadata", 1, { ...PLACE, name: "n" });
  expect(ack).toEqual({
    result: "success",
    version: 4,
    metadata: { ...PLACE, name: "n", preferredPermissionMode: "default" },
  });
  // What a person changed in between is not passed over.
  await t.hub.sessions.rename({ namespace: "default", id: sid }, "renamed");
  expect((await write("metadata", 4, { ...PLACE, name: "n" })).ack).toMatchObject({
    result: "version-mismatch",
    version: 5,
  });
});
