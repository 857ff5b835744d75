// When receipts are asked for and when a look ends, over any ledger and any channel.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { MemoryLedger, type MemoryTicket } from "../../test/support/memory-ledger.ts";
import { createLog } from "../observability/log.ts";
import type { ReceiptChannel, Receipts } from "./channel.ts";
import type { Deadline } from "./deadline.ts";
import { ReceiptReader, type ReceiptTiming } from "./receipts.ts";

const NOTHING: Receipts = { verdicts: new Map(), refused: [], problem: undefined };

class Channel implements ReceiptChannel {
  readonly name = "test";
  readonly maxTickets = 3;
  readonly asked: string[][] = [];
  next: (tickets: readonly string[], deadline: Deadline) => Promise<Receipts> = async () => NOTHING;

  receipts(tickets: readonly string[], deadline: Deadline): Promise<Receipts> {
    this.asked.push([...tickets]);
    return this.next(tickets, deadline);
  }
}

let ledger: MemoryLedger;
let channel: Channel;
let reader: ReceiptReader<MemoryTicket>;
const readerWith = (timing: Partial<ReceiptTiming> = {}) =>
  new ReceiptReader({
    ledger,
    channel,
    timing: { afterMs: 0, everyMs: 3_600_000, deadlineMs: 5_000, ...timing },
    log: createLog("silent"),
  });

beforeEach(async () => {
  ledger = new MemoryLedger();
  channel = new Channel();
  reader = readerWith();
});
afterEach(() => reader.stop());

/** A push to so many devices; its tickets are named like them. */
async function pushed(count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, n) => `${n}`);
  for (const name of names.toReversed()) ledger.register("me", name);
  const devices = (await ledger.devices("me")).map((device) => ({
    device,
    verdict: { ok: true, ticket: device.address } as const,
  }));
  const decision = { outcome: "sent", devices: count, delivered: count } as const;
  await ledger.record({
    owner: "me",
    subject: "s",
    kind: "done",
    eventKey: "e",
    decision,
    durationMs: 1,
    devices,
  });
}
const tickets = () => ledger.tickets.map(({ id }) => id).sort();

test("a look asks for every ticket that is due once, page by page, and settles what it hears", async () => {
  await pushed(7);
  channel.next = async () => ({
    verdicts: new Map([
      ["0", { ok: true, ticket: undefined }],
      ["4", { ok: false, reason: "gone", dead: true }],
    ]),
    refused: ["5"],
    problem: undefined,
  });
  await reader.read();
  expect(channel.asked).toEqual([["0", "1", "2"], ["3", "4", "5"], ["6"]]);
  expect(tickets()).toEqual(["1", "2", "3", "6"]);
  expect((await ledger.devices("me")).map(({ address }) => address)).not.toContain("4");
  expect(ledger.tickets.every(({ asked }) => asked === 1)).toBe(true);
  expect(ledger.trims).toBe(1);
});

test("tickets that are too young are not asked for", async () => {
  await pushed(1);
  await readerWith({ afterMs: 60_000 }).read();
  expect(channel.asked).toEqual([]);
});

test("a look ends after three problems, keeps what was heard, and the next begins anew", async () => {
  await pushed(15);
  channel.next = async ([first = ""]) => ({
    verdicts: new Map([[first, { ok: true, ticket: undefined }]]),
    refused: [],
    problem: "HTTP 500",
  });
  await reader.read();
  expect(channel.asked).toHaveLength(3);
  expect(tickets()).toHaveLength(12);
  channel.next = async () => NOTHING;
  await reader.read();
  expect(channel.asked.slice(3).flat()).toHaveLength(12);
});

test("a look that is under way is shared", async () => {
  await pushed(2);
  await Promise.all([reader.read(), reader.read()]);
  expect(channel.asked).toHaveLength(1);
  await reader.read();
  expect(channel.asked).toHaveLength(2);
});

test("a ledger that fails ends the look, not the reader", async () => {
  await pushed(1);
  const { dueTickets } = ledger;
  ledger.dueTickets = () => Promise.reject(new Error("no database"));
  await reader.read();
  expect(channel.asked).toEqual([]);
  ledger.dueTickets = dueTickets;
  await reader.read();
  expect(channel.asked).toEqual([["0"]]);
});

test("a stop ends the look at once and settles nothing of what was cut off", async () => {
  await pushed(5);
  const asked = Promise.withResolvers<void>();
  channel.next = (of, { signal }) =>
    new Promise((resolve) => {
      asked.resolve();
      // A channel that was cut off may say anything.
      const verdicts = new Map(of.map((id) => [id, { ok: false, reason: "gone", dead: true } as const]));
      signal.addEventListener("abort", () => resolve({ ...NOTHING, verdicts }));
    });
  const reading = reader.read();
  await asked.promise;
  await reader.stop();
  await reading;
  expect(channel.asked).toHaveLength(1);
  expect(tickets()).toHaveLength(5);
  expect(await ledger.devices("me")).toHaveLength(5);
});

test("it looks by itself from its start to its stop", async () => {
  await pushed(1);
  reader = readerWith({ everyMs: 5 });
  reader.start();
  for (let tries = 0; tries < 1_000 && channel.asked.length < 3; tries++) await Bun.sleep(5);
  expect(channel.asked.length).toBeGreaterThanOrEqual(3);
  await reader.stop();
  const [asked, trims] = [channel.asked.length, ledger.trims];
  await Bun.sleep(50);
  expect([channel.asked.length, ledger.trims]).toEqual([asked, trims]);
});
