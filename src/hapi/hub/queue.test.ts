// Messages that wait for their CLI: each is taken once, cancelled for good or left in doubt, and told again once to a CLI that is new.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestHub, PLACE, type TestHub } from "../../../test/support/hapi-hub.ts";

let t: TestHub;
let sid: string;
const key = () => ({ namespace: "default", id: sid });
const ms = expect.any(Number);

beforeEach(async () => {
  t = openTestHub();
  sid = await t.session();
  await t.alive(sid);
});
afterEach(() => t.all.close());

async function post(localId: string, more: object = {}): Promise<void> {
  await t.hub.messages.post({ session: key(), text: localId, localId, ...more });
  await t.settled();
  t.told.length = 0;
}

const state = async (localId: string) => {
  const { queuedLocalIds, indeterminateLocalIds, invokedLocalMessages } = (await t.hub.queue.state(key(), [
    localId,
  ])) as never as Record<string, unknown[]>;
  return queuedLocalIds?.length
    ? "queued"
    : indeterminateLocalIds?.length
      ? "indeterminate"
      : invokedLocalMessages?.length
        ? "invoked"
        : "unknown";
};

test("taken: the session moves up, then the ids are told as they were given (step 33)", async () => {
  await post("a");
  expect(await t.hub.queue.consumed({ session: key(), localIds: ["a", "zz"], steered: true }, {})).toBe("ok");
  expect(t.web()).toEqual([
    expect.objectContaining({ type: "session-updated", data: { updatedAt: ms } }),
    {
      type: "messages-consumed",
      namespace: "default",
      sessionId: sid,
      localIds: ["a", "zz"],
      invokedAt: ms,
      steered: true,
    },
  ] as never);
  expect(await state("a")).toBe("invoked");
  await t.hub.queue.consumed({ session: key(), localIds: [] }, {});
  expect(t.web()).toEqual([]);
  expect(await t.hub.queue.consumed({ session: { namespace: "other", id: sid }, localIds: ["a"] }, {})).toBe(
    "access-denied",
  );
});

test("in doubt, and back in the queue", async () => {
  await post("a");
  await t.hub.queue.indeterminate(key(), ["a", "nope"], {});
  expect(t.web()).toMatchObject([{ type: "messages-indeterminate", localIds: ["a", "nope"] }]);
  expect(await state("a")).toBe("indeterminate");
  const steer = (to: "queued" | "dispatching") => t.hub.queue.steerState(key(), ["a"], to, {});
  expect(await steer("dispatching")).toBeTrue();
  expect(t.web()).toEqual([]);
  expect(await state("a")).toBe("indeterminate");
  expect(await steer("queued")).toBeTrue();
  expect(t.web()).toMatchObject([{ type: "messages-requeued", localIds: ["a"] }]);
  expect(await steer("queued")).toBeFalse();
});

test("a session with nothing left to see is told of in full, before the message that went (step 121)", async () => {
  await post("a");
  await t.hub.queue.cancel(key(), "a");
  expect(t.web()).toMatchObject([
    { type: "session-updated", data: { id: sid, hasConversationContent: false } },
    { type: "message-cancelled", messageId: "a" },
  ]);
});

describe("cancel", () => {
  beforeEach(async () => {
    const content = { role: "user", content: { type: "text", text: "something to see" } };
    await t.hub.messages.fromCli({ namespace: "default", sid, content }, {});
    t.told.length = 0;
  });

  const cancel = (id = "a") => t.hub.queue.cancel(key(), id);

  // As the released hub 0.30.7 answers, case by case.
  test.each([
    ["it gives it back", { removed: true }, "cancelled", "unknown", ["message-cancelled"]],
    ["it works on it", { removed: false, inFlight: true }, "busy", "queued", []],
    ["it does not know", { removed: false, indeterminate: true }, "busy", "queued", []],
    ["it has done it", { removed: false, consumed: true }, "invoked", "invoked", ["messages-consumed"]],
    ["it says no more", { removed: false }, "busy", "indeterminate", ["messages-indeterminate"]],
    ["it says nothing", undefined, "busy", "indeterminate", ["messages-indeterminate"]],
    ["it says something odd", "yes", "busy", "indeterminate", ["messages-indeterminate"]],
  ] as const)("its CLI is asked, and %s", async (_, answer, status, left, events) => {
    t.rooms.set(sid, () => answer);
    await post("a");
    expect(await cancel()).toMatchObject({ ok: true, status });
    expect(t.told[0]).toMatchObject({
      to: { session: sid },
      envelope: { seq: 0, body: { t: "cancel-queued-message", sid, messageId: "a", localId: "a" } },
    });
    expect(t.web().map(({ type }) => type)).toEqual([...events]);
    expect(await state("a")).toBe(left);
  });

  test("a CLI that says twice that it does not have it, has it not", async () => {
    t.rooms.set(sid, () => ({ removed: false }));
    await post("a");
    await cancel();
    expect(await cancel()).toMatchObject({ status: "cancelled", localId: "a" });
    expect(await state("a")).toBe("unknown");
  });

  test("nobody is asked when no CLI is there, or it was not handed over yet", async () => {
    await post("a");
    expect(await cancel()).toMatchObject({ status: "cancelled", localId: "a" });
    t.rooms.set(sid, () => undefined);
    await post("later", { scheduledAt: t.wall + 60_000 });
    expect(await cancel("later")).toMatchObject({ status: "cancelled" });
    expect(t.cli()).toEqual([]);
  });

  test("what was taken is given back as it is; what is not there counts as cancelled", async () => {
    await post("a");
    await t.hub.queue.consumed({ session: key(), localIds: ["a"] }, {});
    t.told.length = 0;
    expect(await cancel()).toMatchObject({
      status: "invoked",
      message: { localId: "a", sessionId: sid, invokedAt: ms },
    });
    expect(await cancel("nope")).toEqual({ ok: true, status: "cancelled", localId: null });
    expect(t.web()).toEqual([]);
    expect(await t.hub.queue.cancel({ namespace: "other", id: sid }, "a")).toMatchObject({
      code: "access-denied",
    });
  });

  test("the event names the localId too, but where a CLI gave the message back by it", async () => {
    await post("a");
    const [row] = t.all.sql<{ id: string }>("SELECT id FROM messages WHERE local_id IS NOT NULL");
    await cancel(row?.id);
    expect(t.web()).toMatchObject([{ type: "message-cancelled", messageId: row?.id, localId: "a" }]);
    await post("b");
    await cancel("b");
    expect(t.web()).toMatchObject([{ type: "message-cancelled", messageId: "b", localId: "b" }]);
    await post("c");
    t.rooms.set(sid, () => ({ removed: true }));
    await cancel("c");
    expect(t.web()).toMatchObject([{ type: "message-cancelled", messageId: "c" }]);
    expect(t.web()[0]).not.toHaveProperty("localId");
  });
});

// Upstream fault: all of them again with every keep-alive (hapi-socket 17.8).
test("what waits is told once to each socket of a session, in order, and not what was taken", async () => {
  await post("a");
  await post("b");
  await post("c");
  await t.hub.queue.consumed({ session: key(), localIds: ["b"] }, {});
  t.told.length = 0;
  const [first, second] = [{}, {}];
  await t.hub.queue.replayOnce(key(), first);
  const localIds = t
    .cli()
    .map(({ envelope }) => (envelope.body as unknown as { message: { localId: string } }).message.localId);
  expect(localIds).toEqual(["a", "c"]);
  await t.hub.queue.replayOnce(key(), first);
  expect(t.cli()).toEqual([]);
  await t.hub.queue.replayOnce(key(), second);
  expect(t.cli()).toHaveLength(2);
});

test("an agent's own queue: only of sessions that share it", async () => {
  const native = (text: string | null) => t.hub.queue.native(key(), "n", text, {});
  await native("x");
  expect(await state("n")).toBe("unknown");
  sid = await t.session("shared", { ...PLACE, capabilities: { concurrentClients: true } });
  t.told.length = 0;
  await native("x");
  expect(t.short()).toEqual([["session-updated", "full"], "message-received"]);
  expect(await state("n")).toBe("queued");
  await native("another text");
  const received = t.web();
  expect(received).toMatchObject([
    {
      type: "message-received",
      message: {
        localId: "n",
        seq: 1,
        scheduledAt: null,
        content: {
          role: "user",
          content: { type: "text", text: "another text" },
          meta: { sentFrom: "cli", isNativeQueuedMessage: true },
        },
      },
    },
  ]);
  const { message } = received[0] as unknown as { message: { id: string } };
  await native(null);
  expect(t.web()).toMatchObject([
    { type: "session-updated", data: { hasConversationContent: false } },
    { type: "message-cancelled", messageId: message.id, localId: "n" },
  ]);
  expect(await state("n")).toBe("unknown");
  // One that the agent has taken is history.
  await native("taken");
  await t.hub.queue.consumed({ session: key(), localIds: ["n"] }, {});
  t.told.length = 0;
  await native("too late");
  expect(t.web()).toMatchObject([{ message: { content: { content: { text: "taken" } } } }]);
});

describe("scheduled messages", () => {
  const tick = async () => {
    await t.hub.scheduled.tick();
    return t.told.map((one) => (one.to === "web" ? one.event.type : "update"));
  };

  test("are told once when they are due, and handed over with every tick until they are taken", async () => {
    t.rooms.set(sid, () => undefined);
    await post("s", { scheduledAt: t.wall + 60_000 });
    expect(await tick()).toEqual([]);
    t.pass(60_000);
    expect(await tick()).toEqual(["scheduled-matured", "update"]);
    t.told.length = 0;
    expect(await tick()).toEqual(["update"]);
    await t.hub.queue.consumed({ session: key(), localIds: ["s"] }, {});
    t.told.length = 0;
    expect(await tick()).toEqual([]);
  });

  test("of sessions that never come back keep nobody's from its turn", async () => {
    const gone = await t.session("gone");
    await t.alive(gone);
    const late = { session: { namespace: "default", id: gone }, content: "x", scheduledAt: 1 };
    for (let each = 0; each < 1_200; each++) {
      t.hub.core.inBackground(t.store.appendMessage({ ...late, localId: `g${each}` }), "");
    }
    await t.settled();
    await t.hub.lifecycle.end({ session: late.session, time: t.wall });
    t.rooms.set(sid, () => undefined);
    await post("s", { scheduledAt: t.wall + 1_000 });
    t.pass(1_000);
    expect(await tick()).toEqual(["scheduled-matured", "update"]);
  });

  test("whose CLI is away wait for it", async () => {
    await post("s", { scheduledAt: t.wall + 1_000 });
    t.pass(1_000);
    expect(await tick()).toEqual(["scheduled-matured"]);
    t.told.length = 0;
    t.rooms.set(sid, () => undefined);
    expect(await tick()).toEqual(["update"]);
  });
});
