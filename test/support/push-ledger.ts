// What every ledger of pushes promises (src/push/ledger.ts): the same suite runs against each. Whose devices are asked, what is kept of a
// decision, and that what a channel says later never deletes a device that registered again meanwhile.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Verdict } from "../../src/push/channel.ts";
import type { PushDecision } from "../../src/push/decision.ts";
import type { Device, PushLedger, TicketLedger } from "../../src/push/ledger.ts";

type Ticket = { readonly id: string };

/** One opened ledger, and what a test does to the store behind it. */
export interface LedgerUnderTest<D extends Device<string> = Device<string>, T extends Ticket = Ticket> {
  readonly ledger: PushLedger<D> & TicketLedger<T>;
  /** Two owners that exist. */
  readonly owners: readonly [string, string];
  /** Registers a device, also again. */
  register(owner: string, address: string): Promise<void>;
  unregister(owner: string, address: string): Promise<void>;
  /** As if so much time had passed by the clock since everything that is kept; negative: as if it had been stepped back. */
  age(ms: number): Promise<void>;
  /** Decisions that are kept, oldest first. */
  decisions(owner: string): Promise<PushDecision[]>;
  close(): Promise<void>;
}

const DAY_MS = 24 * 60 * 60_000;
const sent = (ticket?: string): Verdict => ({ ok: true, ticket });
const DEAD: Verdict = { ok: false, reason: "gone", dead: true };
const BUSY: Verdict = { ok: false, reason: "busy", dead: false };

/** `open` on a fresh store each time. */
export function ledgerSuite<D extends Device<string>, T extends Ticket>(
  name: string,
  open: () => Promise<LedgerUnderTest<D, T>>,
): void {
  describe(`the ledger ${name}`, () => {
    let store: LedgerUnderTest<D, T>;
    let [me, other] = ["", ""];
    beforeEach(async () => {
      store = await open();
      [me, other] = store.owners;
    });
    afterEach(() => store.close());

    const addresses = async (owner = me) =>
      (await store.ledger.devices(owner)).map(({ address }) => address).sort();
    const due = async (more: { now?: number; afterMs?: number; last?: T; limit?: number } = {}) =>
      await store.ledger.dueTickets({ now: Date.now(), afterMs: 0, last: undefined, limit: 1_000, ...more });
    const ids = async (more?: Parameters<typeof due>[0]) => (await due(more)).map(({ id }) => id);

    /** Keeps what became of a push to these devices, as they are registered now. */
    async function record(
      verdicts: Readonly<Record<string, Verdict>>,
      { owner = me, eventKey = "key" } = {},
      devices?: readonly D[],
    ) {
      const asked = devices ?? (await store.ledger.devices(owner));
      const delivered = Object.values(verdicts).filter(({ ok }) => ok).length;
      const decision: PushDecision = {
        outcome: delivered > 0 ? "sent" : "failed",
        devices: asked.length,
        delivered,
      };
      await store.ledger.record({
        owner,
        subject: "subject",
        kind: "done",
        eventKey,
        decision,
        durationMs: 1,
        devices: asked.map((device) => ({ device, verdict: verdicts[device.address] })),
      });
    }

    async function settle(verdicts: Readonly<Record<string, Verdict>>, refused: readonly string[] = []) {
      const asked = await ids();
      await store.ledger.settle({ asked, verdicts: new Map(Object.entries(verdicts)), refused });
    }

    async function registered(...devices: string[]) {
      for (const address of devices) await store.register(me, address);
    }

    test("gives an owner's devices and nobody else's", async () => {
      await registered("a", "b");
      await store.register(other, "c");
      expect(await addresses()).toEqual(["a", "b"]);
      expect(await addresses(other)).toEqual(["c"]);
      expect(await addresses("nobody")).toEqual([]);
    });

    test("keeps every decision, also one that asked no device, and none of an owner that is gone", async () => {
      await record({});
      await registered("a");
      await record({ a: sent() });
      await record({}, { owner: "nobody" });
      expect(await store.decisions(me)).toMatchObject([
        { outcome: "failed", devices: 0, delivered: 0 },
        { outcome: "sent", devices: 1, delivered: 1 },
      ]);
      expect(await store.decisions(other)).toEqual([]);
    });

    test("keeps the word and the reason of every decision", async () => {
      await registered("a");
      const decisions: readonly PushDecision[] = [
        { outcome: "sent", devices: 2, delivered: 2 },
        { outcome: "partial", reason: "busy", devices: 2, delivered: 1 },
        { outcome: "failed", reason: "busy, busy", devices: 2, delivered: 0 },
        { outcome: "held-back", reason: "looking", devices: 0, delivered: 0 },
        { outcome: "no-devices", devices: 0, delivered: 0 },
      ];
      for (const decision of decisions) {
        const eventKey = decision.outcome;
        const record = { owner: me, subject: "s", kind: "done", eventKey, durationMs: 1, devices: [] };
        await store.ledger.record({ ...record, decision });
        expect(await store.ledger.find(me, eventKey, Date.now(), 10_000)).toEqual(decision);
      }
    });

    test("finds the newest decision about an event within a time around now, and no other's", async () => {
      await registered("a");
      await record({ a: BUSY }, { eventKey: "e" });
      await record({ a: sent() }, { eventKey: "e" });
      await record({ a: BUSY }, { eventKey: "f" });
      const find = (key: string, offsetMs: number, owner = me) =>
        store.ledger.find(owner, key, Date.now() + offsetMs, 10_000);
      for (const offsetMs of [0, 5_000, -5_000])
        expect(await find("e", offsetMs)).toMatchObject({ outcome: "sent", delivered: 1 });
      for (const offsetMs of [60_000, -60_000]) expect(await find("e", offsetMs)).toBeUndefined();
      expect(await find("f", 0)).toMatchObject({ outcome: "failed" });
      expect(await find("g", 0)).toBeUndefined();
      expect(await find("e", 0, other)).toBeUndefined();
      expect(await find("e", 0, "nobody")).toBeUndefined();
    });

    test("deletes a device that is dead, and no other", async () => {
      await registered("a", "b", "c");
      await record({ a: DEAD, b: BUSY, c: sent() });
      expect(await addresses()).toEqual(["b", "c"]);
    });

    test("keeps a device that registered again while it was asked", async () => {
      await registered("a", "b");
      await store.age(1_000);
      const asked = await store.ledger.devices(me);
      await registered("a");
      await record({ a: DEAD, b: DEAD }, {}, asked);
      expect(await addresses()).toEqual(["a"]);
    });

    test("takes nothing that is said of a deleted device for one that came after it", async () => {
      await registered("old");
      const asked = await store.ledger.devices(me);
      await store.unregister(me, "old");
      await registered("new");
      await record({ old: sent("ticket") }, {}, asked);
      await record({ old: DEAD }, {}, asked);
      expect(await ids()).toEqual([]);
      expect(await addresses()).toEqual(["new"]);
    });

    test("gives out tickets that are old enough, oldest first, page by page", async () => {
      await registered("a", "b", "c");
      await record({ a: sent("3"), b: sent("4"), c: sent() });
      await store.age(5_000);
      await record({ a: sent("1"), b: BUSY, c: sent("2") });
      expect(await ids()).toEqual(["3", "4", "1", "2"]);
      expect(await ids({ afterMs: 2_500 })).toEqual(["3", "4"]);
      const pages: string[][] = [];
      let last: T | undefined;
      do {
        const page: readonly T[] = await due({ limit: 3, ...(last && { last }) });
        last = page.at(-1);
        pages.push(page.map(({ id }) => id));
      } while (last !== undefined);
      expect(pages).toEqual([["3", "4", "1"], ["2"], []]);
    });

    test("gives out tickets at once that carry a time after now", async () => {
      await registered("a");
      await record({ a: sent("t") });
      expect(await ids({ afterMs: 60_000 })).toEqual([]);
      await store.age(-366 * DAY_MS);
      expect(await ids({ afterMs: 60_000 })).toEqual(["t"]);
    });

    test("settles a ticket once: a device that got it stays, one that is dead goes, one that failed stays", async () => {
      await registered("a", "b", "c");
      await record({ a: sent("a"), b: sent("b"), c: sent("c") });
      await settle({ a: sent(), b: DEAD });
      expect(await ids()).toEqual(["c"]);
      expect(await addresses()).toEqual(["a", "c"]);
      expect(await store.decisions(me)).toMatchObject([{ outcome: "partial", delivered: 2, reason: "gone" }]);
      await settle({ c: BUSY });
      await settle({ c: DEAD });
      expect(await ids()).toEqual([]);
      expect(await addresses()).toEqual(["a", "c"]);
      expect(await store.decisions(me)).toMatchObject([
        { outcome: "partial", delivered: 1, reason: "gone, busy" },
      ]);
    });

    test("a decision of which no device is left has failed", async () => {
      await registered("a");
      await record({ a: sent("a") });
      await settle({ a: BUSY });
      expect(await store.decisions(me)).toMatchObject([
        { outcome: "failed", devices: 1, delivered: 0, reason: "busy" },
      ]);
    });

    test("a device that registered again after its push keeps its registration, whatever its receipt says", async () => {
      for (const ms of [1_000, -366 * DAY_MS]) {
        await registered("a");
        await record({ a: sent("a") });
        await store.age(ms);
        await registered("a");
        await settle({ a: DEAD });
        expect(await ids()).toEqual([]);
        expect(await addresses()).toEqual(["a"]);
      }
    });

    test("forgets a ticket that is taken for none, and says nothing about its device or decision", async () => {
      await registered("a", "b");
      await record({ a: sent("a"), b: sent("b") });
      await settle({}, ["a"]);
      expect(await ids()).toEqual(["b"]);
      expect(await addresses()).toEqual(["a", "b"]);
      expect(await store.decisions(me)).toMatchObject([{ outcome: "sent", delivered: 2 }]);
    });

    test("is held to its bounds: a ticket that is a day old goes after an hour of questions, and not before", async () => {
      await registered("a");
      await record({ a: sent("a") });
      for (let questions = 0; questions < 12; questions++) await settle({});
      await store.ledger.trim(Date.now());
      expect(await ids()).toEqual(["a"]);
      await store.age(DAY_MS + 1_000);
      await store.ledger.trim(Date.now());
      expect(await ids()).toEqual([]);
      // A clock that went a day forth has not asked anybody.
      await record({ a: sent("b") });
      await store.age(2 * DAY_MS);
      await store.ledger.trim(Date.now());
      expect(await ids()).toEqual(["b"]);
    });
  });
}
