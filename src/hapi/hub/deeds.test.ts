// The hub as sockets call it: every word of theirs reaches its deed, and what is not the namespace's own is said each time.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { openTestHub, PLACE, type TestHub } from "../../../test/support/hapi-hub.ts";
import type { HubDeeds, ValueAnswer } from "../realtime/deeds.ts";
import { hubDeeds } from "./deeds.ts";

let t: TestHub;
let deeds: HubDeeds;
let sid: string;
const from = (socket: object = {}, namespace = "default") => ({ namespace, socket });

beforeEach(async () => {
  t = openTestHub();
  deeds = hubDeeds(t.hub);
  sid = await t.session();
  await t.machine();
});
afterEach(() => t.all.close());

test("what is not there, or another namespace's, is said by every deed", async () => {
  const all = (namespace: string, session: string, machineId: string) => {
    const who = from({}, namespace);
    const localIds = ["a"];
    return Promise.all([
      deeds.sessionAbsence(namespace, session),
      deeds.machineAbsence(namespace, machineId),
      deeds.message(who, { sid: session, content: "x", localId: undefined, createdAt: undefined }),
      deeds.sessionAlive(who, { sid: session, time: t.wall, thinking: false }),
      deeds.sessionEnd(who, { sid: session, time: t.wall, reason: undefined }),
      deeds.sessionReady(who, { sid: session, time: t.wall }),
      deeds.machineAlive(who, { machineId, time: t.wall, health: undefined }),
      deeds.agyModelsChanged(who, machineId),
      deeds.messagesConsumed(who, {
        sid: session,
        localIds,
        clearQueuedThinkingGrace: false,
        steered: false,
      }),
      deeds.messagesIndeterminate(who, { sid: session, localIds }),
      deeds.messagesSteerState(who, { sid: session, localIds, state: "queued" }),
      deeds.nativeQueueMessage(who, { sid: session, localId: "a", text: "x" }),
    ]);
  };
  t.told.length = 0;
  expect(new Set(await all("default", "nobody", "nobody"))).toEqual(new Set(["not-found"]));
  expect(new Set(await all("other", sid, "m1"))).toEqual(new Set(["access-denied"]));
  expect(t.told).toEqual([]);
  expect(deeds.isSessionActive("default", sid)).toBeFalse();
});

test("a CLI that connects anew is told what waits with its first keep-alive, once", async () => {
  const [first, second] = [{}, {}];
  const alive = (socket: object) => deeds.sessionAlive(from(socket), { sid, time: t.wall, thinking: false });
  await alive(first);
  await t.hub.messages.post({ session: { namespace: "default", id: sid }, text: "x", localId: "w" });
  await t.settled();
  t.told.length = 0;
  await alive(first);
  await t.settled();
  expect(t.cli()).toEqual([]);
  await alive(second);
  await alive(second);
  await t.settled();
  expect(t.cli()).toMatchObject([{ envelope: { body: { t: "new-message", message: { localId: "w" } } } }]);
  expect(deeds.isSessionActive("default", sid)).toBeTrue();
  expect(deeds.isSessionActive("other", sid)).toBeFalse();
});

test("values are answered under their own key", async () => {
  const answers: ValueAnswer[] = [];
  const answer = (each: ValueAnswer) => answers.push(each);
  await deeds.updateMetadata(from(), { id: sid, expectedVersion: 1, value: { ...PLACE, name: "n" } }, answer);
  await deeds.updateAgentState(from(), { id: sid, expectedVersion: 1, value: {} }, answer);
  await deeds.updateMachineMetadata(from(), { id: "m1", expectedVersion: 9, value: {} }, answer);
  await deeds.updateRunnerState(from(), { id: "m1", expectedVersion: 1, value: null }, answer);
  expect(answers).toMatchObject([
    { result: "success", version: 2, metadata: { name: "n" } },
    { result: "success", version: 2, agentState: {} },
    { result: "version-mismatch", version: 1, metadata: { host: "devbox" } },
    { result: "success", version: 2, runnerState: null },
  ]);
});

test("models of an agent changed on a machine", async () => {
  t.told.length = 0;
  expect(await deeds.agyModelsChanged(from(), "m1")).toBeUndefined();
  expect(t.web()).toEqual([{ type: "machine-agy-models-updated", namespace: "default", machineId: "m1" }]);
});
