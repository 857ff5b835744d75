// What is decided about a push, over any ledger and any channel. The ledger is in memory, the channel does what the test says.
import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { MemoryLedger, type NamedDevice } from "../../test/support/memory-ledger.ts";
import { createLog } from "../observability/log.ts";
import type { PushChannel, Verdict } from "./channel.ts";
import type { Deadline } from "./deadline.ts";
import type { PushDecision } from "./decision.ts";
import { type Push, Pusher, type PusherParts } from "./pusher.ts";
import { SAME_EVENT_MS } from "./recent-pushes.ts";

type Message = { readonly text: string };

class Channel implements PushChannel<string, Message> {
  readonly name = "test";
  readonly sent: { readonly to: readonly string[]; readonly text: string }[] = [];
  readonly deadlines: Deadline[] = [];
  /** What becomes of the next one; every device gets it when not said. */
  next: ((to: readonly string[], deadline: Deadline) => Promise<Verdict[]> | Verdict[]) | undefined;

  async send(to: readonly string[], { text }: Message, deadline: Deadline): Promise<Verdict[]> {
    this.sent.push({ to, text });
    this.deadlines.push(deadline);
    return (await this.next?.(to, deadline)) ?? to.map((address) => ({ ok: true, ticket: `of ${address}` }));
  }
}

type Parts = PusherParts<string, Message, NamedDevice>;

let ledger: MemoryLedger;
let channel: Channel;
let decided: string[];
let refused: string[];
let announced: string[];
const opened: Pusher<string, Message>[] = [];

beforeEach(() => {
  ledger = new MemoryLedger();
  channel = new Channel();
  [decided, refused, announced] = [[], [], []];
  ledger.register("me", "phone");
  ledger.register("me", "tablet");
});
afterEach(async () => {
  jest.useRealTimers();
  for (const pusher of opened.splice(0)) await pusher.stop();
});

function pusherWith(parts: Partial<Parts> = {}): Pusher<string, Message> {
  const pusher = new Pusher<string, Message>({
    ledger,
    channel,
    holdBack: () => undefined,
    log: createLog("silent"),
    deadlineMs: 5_000,
    decided: (outcome) => decided.push(outcome),
    refused: (owner) => refused.push(owner),
    ...parts,
  });
  opened.push(pusher);
  return pusher;
}

const pushOf = (text: string, owner = "me"): Push<Message> => ({
  owner,
  subject: "s",
  kind: "done",
  message: { text },
  event: [owner, text],
});
const push = (pusher: Pusher<string, Message>, text: string, owner?: string) =>
  pusher.push(pushOf(text, owner), () => announced.push(text));
const kept = () => ledger.entries.map(({ decision }) => decision);
const BOTH: PushDecision = { outcome: "sent", devices: 2, delivered: 2 };
const failed = (reason: string, dead = false): Verdict => ({ ok: false, reason, dead });
/** A pusher that has been up for so long that no ledger knows of a push before its start that would matter. */
async function longUp(parts?: Partial<Parts>): Promise<Pusher<string, Message>> {
  jest.useFakeTimers();
  const pusher = pusherWith(parts);
  jest.advanceTimersByTime(SAME_EVENT_MS + 1);
  return pusher;
}

describe("a push", () => {
  test("goes to every device of its owner, and is kept with its tickets", async () => {
    ledger.register("you", "other");
    expect(await push(pusherWith(), "hello")).toEqual(BOTH);
    expect(channel.sent).toEqual([{ to: ["tablet", "phone"], text: "hello" }]);
    expect(channel.deadlines[0]?.leftMs()).toBeWithin(1, 5_001);
    expect(kept()).toEqual([BOTH]);
    expect(ledger.tickets.map(({ id }) => id)).toEqual(["of tablet", "of phone"]);
    expect([decided, announced]).toEqual([["sent"], ["hello"]]);
  });

  test.each<[string, Verdict[], PushDecision, string[]]>([
    [
      "one device is dead",
      [failed("gone", true), { ok: true, ticket: undefined }],
      { outcome: "partial", reason: "gone", devices: 2, delivered: 1 },
      ["phone"],
    ],
    [
      "no device got it",
      [failed("busy"), failed("HTTP 500")],
      { outcome: "failed", reason: "busy, HTTP 500", devices: 2, delivered: 0 },
      ["tablet", "phone"],
    ],
  ])("when %s", async (_, verdicts, decision, left) => {
    channel.next = () => verdicts;
    expect(await push(pusherWith(), "hello")).toEqual(decision);
    expect(kept()).toEqual([decision]);
    expect((await ledger.devices("me")).map(({ address }) => address)).toEqual(left);
  });

  test("without a device asks nobody, and is kept", async () => {
    const decision: PushDecision = { outcome: "no-devices", devices: 0, delivered: 0 };
    ledger.registered.set("me", []);
    expect(await push(pusherWith(), "hello")).toEqual(decision);
    expect([channel.sent, kept()]).toEqual([[], [decision]]);
  });

  test("is held back for a reason, which is kept; it is announced all the same", async () => {
    const asked: Push<Message>[] = [];
    for (const holdBack of [
      (of: Push<Message>) => {
        asked.push(of);
        return "looking";
      },
      async () => "looking",
    ])
      expect(await push(pusherWith({ holdBack }), "hello")).toEqual({
        outcome: "held-back",
        reason: "looking",
        devices: 0,
        delivered: 0,
      });
    expect(asked).toEqual([pushOf("hello")]);
    expect(channel.sent).toEqual([]);
    expect([decided, announced]).toEqual([
      ["held-back", "held-back"],
      ["hello", "hello"],
    ]);
  });

  test("is sent when it cannot be told whether to hold it back", async () => {
    const holdBack = () => Promise.reject(new Error("nobody knows"));
    expect(await push(pusherWith({ holdBack }), "hello")).toEqual(BOTH);
  });

  test("fails when its devices cannot be read, and is not failed by a ledger that cannot keep it", async () => {
    const pusher = pusherWith();
    const { devices, record } = ledger;
    ledger.devices = () => Promise.reject(new Error("no database"));
    expect(await push(pusher, "unread")).toEqual({
      outcome: "failed",
      reason: "Internal error",
      devices: 0,
      delivered: 0,
    });
    expect(kept()).toHaveLength(1);
    ledger.devices = devices;
    ledger.record = () => Promise.reject(new Error("disk full"));
    expect(await push(pusher, "unkept")).toEqual(BOTH);
    ledger.record = record;
    expect(await push(pusher, "kept")).toEqual(BOTH);
  });

  test("is kept before its caller hears of it", async () => {
    const gate = Promise.withResolvers<void>();
    const record = ledger.record.bind(ledger);
    ledger.record = async (of) => {
      await gate.promise;
      await record(of);
    };
    let isTold = false;
    const pushing = push(pusherWith(), "hello").then(() => {
      isTold = true;
    });
    while (channel.sent.length === 0) await Bun.sleep(1);
    await Bun.sleep(1);
    expect(isTold).toBe(false);
    gate.resolve();
    await pushing;
    expect(kept()).toHaveLength(1);
  });

  test("now and then has the ledger held to its bounds", async () => {
    const pusher = pusherWith();
    ledger.registered.set("me", []);
    for (let n = 0; n < 999; n++) await push(pusher, `${n}`);
    expect(ledger.trims).toBe(0);
    await push(pusher, "the thousandth");
    expect(ledger.trims).toBe(1);
  });
});

describe("the same event twice", () => {
  test("at once is sent, announced and kept once, and every caller hears what came of it", async () => {
    for (const pusher of [pusherWith(), await longUp()]) {
      channel.sent.length = announced.length = ledger.entries.length = 0;
      const decisions = Array.from({ length: 5 }, () => push(pusher, "hello"));
      expect(await Promise.all(decisions)).toEqual(Array.from({ length: 5 }, () => BOTH));
      expect(await push(pusher, "hello")).toEqual(BOTH);
      expect([channel.sent.length, announced.length, ledger.entries.length]).toEqual([1, 1, 1]);
      // Another event is none of them.
      await push(pusher, "another");
      expect(channel.sent).toHaveLength(2);
      ledger.entries.length = 0;
    }
  });

  test("after ten seconds is a new one", async () => {
    const pusher = await longUp();
    await push(pusher, "hello");
    jest.advanceTimersByTime(SAME_EVENT_MS - 1);
    await push(pusher, "hello");
    expect(channel.sent).toHaveLength(1);
    jest.advanceTimersByTime(2);
    await push(pusher, "hello");
    expect([channel.sent.length, announced.length]).toEqual([2, 2]);
  });

  test("is tried again at once where no device got it", async () => {
    const pusher = pusherWith();
    channel.next = (to) => to.map(() => failed("busy"));
    expect(await push(pusher, "hello")).toMatchObject({ outcome: "failed" });
    channel.next = undefined;
    expect(await push(pusher, "hello")).toEqual(BOTH);
    expect(announced).toEqual(["hello", "hello"]);
  });

  test("across a restart is answered from the ledger, where it was delivered", async () => {
    const before = pusherWith();
    await push(before, "delivered");
    channel.next = (to) => to.map(() => failed("busy"));
    await push(before, "failed");
    channel.next = undefined;
    await before.stop();
    [channel.sent.length, announced.length] = [0, 0];
    const after = pusherWith();
    for (let n = 0; n < 2; n++) expect(await push(after, "delivered")).toEqual(BOTH);
    expect([channel.sent, announced]).toEqual([[], []]);
    expect(await push(after, "failed")).toEqual(BOTH);
    expect(announced).toEqual(["failed"]);
  });

  test("across a restart is remembered from its first beginning, not from its repeat", async () => {
    jest.useFakeTimers();
    await push(pusherWith(), "delivered");
    jest.advanceTimersByTime(6_000);
    const after = pusherWith();
    await push(after, "delivered");
    expect(channel.sent).toHaveLength(1);
    jest.advanceTimersByTime(4_001);
    await push(after, "delivered");
    expect(channel.sent).toHaveLength(2);
  });

  test("is looked up in the ledger for ten seconds after a start, and not later", async () => {
    let looks = 0;
    const find = ledger.find.bind(ledger);
    ledger.find = (...of) => {
      looks++;
      return find(...of);
    };
    jest.useFakeTimers();
    const pusher = pusherWith();
    await push(pusher, "a");
    jest.advanceTimersByTime(SAME_EVENT_MS);
    await push(pusher, "b");
    expect(looks).toBe(2);
    jest.advanceTimersByTime(1);
    await push(pusher, "c");
    expect(looks).toBe(2);
  });

  test("is rather pushed twice than never, when the ledger cannot be looked up", async () => {
    ledger.find = () => Promise.reject(new Error("no database"));
    expect(await push(pusherWith(), "hello")).toEqual(BOTH);
  });
});

describe("too many at once", () => {
  test("are refused and said, for their owner only; a repeat is no further one, and an end makes room", async () => {
    const pusher = await longUp({ atMost: () => 2 });
    ledger.register("you", "other");
    const gate = Promise.withResolvers<void>();
    channel.next = async (to) => {
      await gate.promise;
      return to.map(() => ({ ok: true, ticket: undefined }));
    };
    const running = ["a", "b"].map((text) => push(pusher, text));
    expect(await push(pusher, "c")).toEqual({
      outcome: "failed",
      reason: "Too many pushes at once",
      devices: 0,
      delivered: 0,
    });
    expect([refused, decided, announced]).toEqual([["me"], ["failed"], ["a", "b", "c"]]);
    const others = [push(pusher, "a"), push(pusher, "x", "you")];
    gate.resolve();
    expect(await Promise.all([...running, ...others])).toMatchObject([BOTH, BOTH, BOTH, { outcome: "sent" }]);
    expect(await push(pusher, "c")).toEqual(BOTH);
    expect(refused).toEqual(["me"]);
  });

  test("are also those that come together right after a start", async () => {
    const pusher = pusherWith({ atMost: () => 2 });
    const decisions = await Promise.all(["a", "b", "c"].map((text) => push(pusher, text)));
    expect(decisions.map(({ outcome }) => outcome)).toEqual(["sent", "sent", "failed"]);
  });

  test("are none without a limit", async () => {
    const pusher = await longUp({ atMost: () => 0 });
    const decisions = await Promise.all(Array.from({ length: 50 }, (_, n) => push(pusher, `${n}`)));
    expect(new Set(decisions.map(({ outcome }) => outcome))).toEqual(new Set(["sent"]));
  });
});

test("a stop gives up what is under way, keeps its outcome, and waits for it, also where it was still being looked up", async () => {
  const pusher = pusherWith({ deadlineMs: 3_600_000 });
  channel.next = (to, { signal }) =>
    new Promise((resolve) => {
      const giveUp = () => resolve(to.map(() => failed("Network error")));
      if (signal.aborted) giveUp();
      else signal.addEventListener("abort", giveUp);
    });
  const sending = push(pusher, "sending");
  while (channel.sent.length === 0) await Bun.sleep(1);
  const looking = push(pusher, "looking");
  await pusher.stop();
  expect(kept()).toMatchObject([
    { outcome: "failed", reason: "Network error, Network error", devices: 2 },
    { outcome: "failed", devices: 2 },
  ]);
  for (const decision of [await sending, await looking]) expect(decision).toMatchObject({ delivered: 0 });
});

test("a stop ends the memory of what was delivered, and its timers", async () => {
  const pusher = await longUp();
  await push(pusher, "hello");
  const timers = jest.getTimerCount();
  await pusher.stop();
  // What is left is the end of the deadline, which keeps no process alive.
  expect(jest.getTimerCount()).toBe(timers - 1);
});
