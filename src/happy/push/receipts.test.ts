// Receipts are read when they are due, and dead devices lose their token, but never one that came back meanwhile.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { type ExpoService, expoService } from "../../../test/support/expo.ts";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { Expo } from "../../push/channels/expo.ts";
import { ReceiptReader, type ReceiptTiming } from "../../push/receipts.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { findOrCreateAccount } from "../store/accounts.ts";
import { happyStore } from "../store/index.ts";
import { migrations } from "../store/migrations.ts";
import {
  findDueTickets,
  findPushLedger,
  findPushTokens,
  forgetOldPushes,
  LEDGER_ROWS,
  recordPush,
  registerPushToken,
} from "../store/push.ts";
import { HappyPushLedger } from "./ledger.ts";
import { type HappyPusher, happyPusher, type PushEvent, pushOf } from "./push-events.ts";

const log = createLog("silent");
const DAY_MS = 24 * 60 * 60_000;
let folder: string;
let database: Database;
let service: ExpoService;
let account: string;
let pusher: HappyPusher;
let reader: ReturnType<typeof readerWith>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-push-"));
  database = openDatabase({ path: join(folder, "happy.db"), migrations, log });
  service = expoService();
  ({ account } = await database.writer.run((db) => findOrCreateAccount(db, "AA")));
  pusher = pusherWith(1_000);
  reader = readerWith({ afterMs: 0, everyMs: 20, deadlineMs: 1_000 });
});
afterEach(async () => {
  await pusher.stop();
  await reader.stop();
  await service.stop();
  await database.close();
  rmSync(folder, { recursive: true });
});

const pusherWith = (deadlineMs: number): HappyPusher =>
  happyPusher({
    ledger: new HappyPushLedger(happyStore(database)),
    channel: new Expo(service.url),
    isLooking: () => false,
    log,
    deadlineMs,
  });
const readerWith = (timing: ReceiptTiming) =>
  new ReceiptReader({
    ledger: new HappyPushLedger(happyStore(database)),
    channel: new Expo(service.url),
    timing,
    log,
  });

const event = (data: PushEvent["data"]) =>
  pushOf({ account, sessionId: "s", kind: "done", title: "t", body: "b", data });
/** Each another event. */
const push = () => pusher.push(event({ event: events++ }));
const tokens = async () => (await findPushTokens(database, account)).map(({ token }) => token);
const due = () => findDueTickets(database, Date.now(), 0, undefined, 1_000);
const register = (token: string) => registerPushToken(database, account, token, 0);
let events = 0;
const age = (ms: number) =>
  database.writer.run((db) => {
    db.run(sql`UPDATE push_tickets SET created_at = created_at - ${ms}`);
    db.run(sql`UPDATE push_ledger SET created_at = created_at - ${ms}`);
  });
const dead = { status: "error", message: "gone", details: { error: "DeviceNotRegistered" } };

async function pushTo(...devices: string[]) {
  for (const device of devices) {
    service.devices.add(device);
    await register(device);
  }
  expect(await push()).toMatchObject({ outcome: "sent", delivered: devices.length });
  // Newest token first, as they were sent.
  return Object.fromEntries(
    devices.toReversed().map((device, index) => [device, service.tickets[index] ?? ""]),
  );
}

test("a receipt settles its ticket; what is not ready is asked for again; a dead device loses its token", async () => {
  const ticket = await pushTo("one", "two", "three");
  expect(await due()).toHaveLength(3);
  service.receipts.set(ticket.one ?? "", { status: "ok" });
  service.receipts.set(ticket.two ?? "", dead);
  await reader.read();
  expect((await due()).map(({ id }) => id)).toEqual([ticket.three ?? ""]);
  expect(await tokens()).toEqual(["three", "one"]);
  expect(await findPushLedger(database, account, 9)).toMatchObject([
    { outcome: "partial", tokens: 3, delivered: 2, reason: "DeviceNotRegistered" },
  ]);
  service.receipts.set(ticket.three ?? "", {
    status: "error",
    message: "busy",
    details: { error: "MessageRateExceeded" },
  });
  await reader.read();
  expect(await due()).toEqual([]);
  expect(await tokens()).toEqual(["three", "one"]);
  expect(await findPushLedger(database, account, 9)).toMatchObject([
    { outcome: "partial", delivered: 1, reason: "DeviceNotRegistered, MessageRateExceeded" },
  ]);
});

test("a device that registered again after the push keeps its token", async () => {
  const ticket = await pushTo("one");
  await age(1_000);
  await register("one");
  service.receipts.set(ticket.one ?? "", dead);
  await reader.read();
  expect(await due()).toEqual([]);
  expect(await tokens()).toEqual(["one"]);
});

test("more tickets than one request holds are read in batches, each once a look", async () => {
  service.devices.add("one");
  await register("one");
  const row = (await findPushTokens(database, account))[0];
  if (row === undefined) throw new Error("not registered");
  const devices = Array.from({ length: 650 }, (_, index) => ({
    row,
    verdict: { ok: true, ticket: `ticket ${index}` } as const,
  }));
  const decision = { outcome: "sent", tokens: 650, delivered: 650 } as const;
  const record = { account, sessionId: "s", kind: "done", eventKey: "k", decision, durationMs: 1, devices };
  await recordPush(database, record);
  await reader.read();
  const asked = service.requests.map(({ body }) => body.ids as string[]);
  expect(asked.map(({ length }) => length)).toEqual([300, 300, 50]);
  expect(new Set(asked.flat()).size).toBe(650);
  expect(await due()).toHaveLength(650);
});

test("the timer reads receipts on its own, and survives a service that breaks", async () => {
  const ticket = await pushTo("one");
  service.broken = { raw: "{" };
  reader.start();
  const looks = () => service.requests.filter(({ path }) => path.endsWith("getReceipts")).length;
  await until("two looks", () => looks() >= 2);
  expect(await due()).toHaveLength(1);
  service.broken = undefined;
  service.receipts.set(ticket.one ?? "", dead);
  await until("nothing to be due", async () => (await due()).length === 0);
  expect(await tokens()).toEqual([]);
  await reader.stop();
  const after = looks();
  await Bun.sleep(100);
  expect(looks()).toBe(after);
});

const asked = (times: number) =>
  database.writer.run((db) => db.run(sql`UPDATE push_tickets SET asked = ${times}`));

test("a ticket is dropped after a day and an hour of questions, or after a day of questions whatever the clock says", async () => {
  const forget = async () => {
    await forgetOldPushes(database, Date.now());
    return (await due()).length;
  };
  await pushTo("one");
  await asked(12);
  await age(DAY_MS - 60_000);
  expect(await forget()).toBe(1);
  await age(120_000);
  await asked(11);
  expect(await forget()).toBe(1);
  await asked(12);
  expect(await forget()).toBe(0);
  await pushTo("one");
  await age(-366 * DAY_MS);
  await asked(287);
  expect(await forget()).toBe(1);
  await asked(288);
  expect(await forget()).toBe(0);
});

test("a look counts as one question for what it did not answer", async () => {
  const ticket = await pushTo("one", "two");
  service.receipts.set(ticket.one ?? "", { status: "ok" });
  await reader.read();
  await reader.read();
  expect(await due()).toMatchObject([{ id: ticket.two ?? "", asked: 2 }]);
});

test.each([1, 366])("a clock that went %i days forth loses no receipt", async (days) => {
  const ticket = await pushTo("one");
  await age(days * DAY_MS);
  await reader.read();
  expect(await due()).toHaveLength(1);
  service.receipts.set(ticket.one ?? "", dead);
  await reader.read();
  expect(await due()).toEqual([]);
  expect(await tokens()).toEqual([]);
});

test.each([1, 366])(
  "after a clock went %i days back receipts are asked for now, not when it comes around",
  async (days) => {
    const patient = readerWith({ afterMs: 15 * 60_000, everyMs: 20, deadlineMs: 1_000 });
    const ticket = await pushTo("one");
    service.receipts.set(ticket.one ?? "", dead);
    await patient.read();
    // Too early, as long as the clock is believed.
    expect(await tokens()).toEqual(["one"]);
    await age(-days * DAY_MS);
    await patient.read();
    expect(await tokens()).toEqual([]);
  },
);

test("a device that registered again keeps its token, whichever time that carries", async () => {
  const ticket = await pushTo("one");
  await age(-366 * DAY_MS);
  await register("one");
  service.receipts.set(ticket.one ?? "", dead);
  await reader.read();
  expect(await due()).toEqual([]);
  expect(await tokens()).toEqual(["one"]);
});

test("one bad ticket does not keep the others' receipts from being read, and is forgotten", async () => {
  const ticket = await pushTo("one", "two", "three");
  service.refused.add(ticket.two ?? "");
  service.receipts.set(ticket.one ?? "", { status: "ok" });
  service.receipts.set(ticket.three ?? "", dead);
  await reader.read();
  expect(await due()).toEqual([]);
  expect(await tokens()).toEqual(["two", "one"]);
});

test("a look ends when Expo is not there, and the next one begins anew", async () => {
  const ticket = await pushTo("one");
  service.receipts.set(ticket.one ?? "", { status: "ok" });
  service.broken = { status: 401 };
  await reader.read();
  expect(await due()).toHaveLength(1);
  service.broken = undefined;
  await reader.read();
  expect(await due()).toEqual([]);
});

test("the ledger forgets after thirty days, which a clock that ran ahead does not make, and beyond its rows", async () => {
  await pushTo("one");
  expect(await findPushLedger(database, account, 9)).toHaveLength(1);
  await forgetOldPushes(database, Date.now() + 366 * DAY_MS);
  expect(await findPushLedger(database, account, 9)).toHaveLength(1);
  await age(30 * DAY_MS + 60_000);
  await pushTo("one");
  await forgetOldPushes(database, Date.now());
  expect(await findPushLedger(database, account, 9)).toHaveLength(1);
  await database.writer.run((db) =>
    db.run(sql`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${LEDGER_ROWS + 5})
      INSERT INTO push_ledger (account_pk, session_id, kind, outcome, tokens, delivered, duration_ms, created_at)
      SELECT 1, 's' || i, 'done', 'no_tokens', 0, 0, 0, ${Date.now()} FROM n`),
  );
  await forgetOldPushes(database, Date.now());
  const kept = await findPushLedger(database, account, LEDGER_ROWS * 2);
  expect(kept).toHaveLength(LEDGER_ROWS);
  expect(kept.at(-1)?.sessionId).toBe("s6");
});

test("a stop gives up what is under way and keeps its outcome", async () => {
  await register("one");
  service.broken = { silent: true };
  const slow = pusherWith(60_000);
  const decision = slow.push(event({}));
  while (service.requests.length === 0) await Bun.sleep(5);
  await slow.stop();
  expect(await decision).toMatchObject({ outcome: "failed", reason: "Network error" });
  expect(await findPushLedger(database, account, 9)).toMatchObject([
    { outcome: "failed", tokens: 1, delivered: 0 },
  ]);
});

test("a ticket for a token that was deleted meanwhile is not kept for the row that took its number", async () => {
  await register("old");
  const [old] = await findPushTokens(database, account);
  if (old === undefined) throw new Error("not registered");
  await database.writer.run((db) => db.run(sql`DELETE FROM push_tokens`));
  await register("new");
  expect((await findPushTokens(database, account))[0]?.pk).toBe(old.pk);
  const decision = { outcome: "sent", tokens: 1, delivered: 1 } as const;
  const record = { account, sessionId: "s", kind: "done", eventKey: "k", decision, durationMs: 1 };
  await recordPush(database, { ...record, devices: [{ row: old, verdict: { ok: true, ticket: "t" } }] });
  await recordPush(database, {
    ...record,
    devices: [{ row: old, verdict: { ok: false, reason: "DeviceNotRegistered", dead: true } }],
  });
  expect(await due()).toEqual([]);
  expect(await tokens()).toEqual(["new"]);
});
