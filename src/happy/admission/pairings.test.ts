// Pairing requests under a flood and under clocks: a device that waits is never given up for requests of strangers, polls of known
// requests write nothing and read one row, what is over goes, and a changed clock neither kills nor keeps alive.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { testLimits } from "../../../test/support/limits.ts";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { findOrCreateAccount } from "../store/accounts.ts";
import { happyStore } from "../store/index.ts";
import { migrations } from "../store/migrations.ts";
import { Pairings } from "./pairings.ts";
import { WaitingPairings } from "./waiting-pairings.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(60_000);

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const YEAR = 365 * DAY;
const log = createLog("silent");
const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function opened(folder = mkdtempSync(join(tmpdir(), "roost-pairings-")), clearEveryMs = 60_000) {
  const database = openDatabase({ path: join(folder, "happy.db"), migrations, log });
  const limits = testLimits();
  const clock = { now: Date.now() };
  const pairings = new Pairings({
    store: happyStore(database),
    ...limits,
    log,
    now: () => clock.now,
    clearEveryMs,
  });
  let isOpen = true;
  const close = async () => {
    if (!isOpen) return;
    isOpen = false;
    await pairings.stop();
    await database.close();
  };
  undo.push(close, () => rmSync(folder, { recursive: true, force: true }));
  return { folder, database, limits, clock, pairings, close };
}

const keyOf = (n: number) => n.toString(16).toUpperCase().padStart(64, "0");
const poll = (pairings: Pairings, n: number, address = "203.0.113.1") =>
  pairings.poll("terminal", keyOf(n), true, address);
const flood = (pairings: Pairings, requests: number, address?: (n: number) => string) =>
  Promise.all(Array.from({ length: requests }, (_, n) => poll(pairings, n, address?.(n))));
const count = ({ reads }: Database) =>
  reads.all<{ n: number }>(sql`SELECT count(*) AS n FROM terminal_auth_requests`)[0]?.n;
async function account({ writer }: Database): Promise<string> {
  return (await writer.run((db) => findOrCreateAccount(db, "AA"))).account;
}
async function fill({ writer }: Database, rows: number, createdAt: number): Promise<void> {
  await writer.run((db) => {
    db.run(sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
      INSERT INTO terminal_auth_requests (id, public_key, created_at, updated_at)
      SELECT 'f' || i, 'F' || i, ${createdAt}, ${createdAt} FROM n`);
  });
}

describe("with 27,000 requests that wait", () => {
  test("a poll of a known one writes nothing and takes less than a millisecond", async () => {
    const { database, pairings, clock } = opened();
    await fill(database, 27_000, clock.now);
    await poll(pairings, 1);
    let written = 0;
    const run = database.writer.run;
    database.writer.run = ((...args: Parameters<typeof run>) => {
      written++;
      return run.apply(database.writer, args);
    }) as typeof run;
    const start = performance.now();
    for (let n = 0; n < 1_000; n++) await poll(pairings, 1);
    // 8 to 37 ms each before.
    expect((performance.now() - start) / 1_000).toBeLessThan(1);
    expect(written).toBe(0);
  });

  test("all of them over at once are cleared away in slices, and one that still waits stays", async () => {
    const { database, pairings, clock } = opened();
    await fill(database, 27_000, clock.now);
    clock.now += 15 * MINUTE + 1;
    // None of them stands in the way of a new one meanwhile.
    await poll(pairings, 1);
    expect(count(database)).toBe(27_001);
    await pairings.clear();
    expect(count(database)).toBe(1);
    expect((await poll(pairings, 1)).state).toBe("requested");
  });
});

test("what is over is cleared away by a timer, and takes no room in the limits any more", async () => {
  const { database, pairings, clock } = opened(undefined, 10);
  pairings.start();
  await flood(pairings, 20);
  await poll(pairings, 1_000);
  await pairings.approve("terminal", keyOf(1_000), await account(database), "ok");
  expect(await poll(pairings, 1_000)).toMatchObject({ state: "authorized" });
  clock.now += 15 * MINUTE + 1;
  // Its places in the limits are free a moment after its rows are gone.
  const left = () => (count(database) ?? 0) + pairings.waiting("terminal");
  for (let tries = 0; tries < 500 && left() !== 0; tries++) await Bun.sleep(10);
  expect([count(database), pairings.waiting("terminal")]).toEqual([0, 0]);
});

describe("too many", () => {
  test("of one network give way to newer ones, but never one that is asked for every second, in the same network", async () => {
    const { database, limits, pairings } = opened();
    const honest = 1_000_000;
    await poll(pairings, honest);
    // The pace of pairing lets one address make 30 a second, after a burst of 600.
    for (let second = 0; second < 30; second++) {
      await Promise.all(Array.from({ length: 30 }, (_, n) => poll(pairings, second * 30 + n)));
      await poll(pairings, honest);
    }
    expect(count(database)).toBe(200);
    expect(pairings.waiting("terminal")).toBe(200);
    expect(limits.bounds.count("pairings-per-address")).toBeGreaterThan(500);
    expect(await pairings.status(keyOf(honest))).toEqual({ status: "pending", supportsV2: true });
    expect(await pairings.approve("terminal", keyOf(honest), await account(database), "ok")).toBe(true);
    expect(await poll(pairings, honest)).toMatchObject({ state: "authorized", response: "ok" });
  });

  test("of one network do not touch those of another, and a whole IPv6 /64 is one network", async () => {
    const { database, pairings } = opened();
    for (let n = 0; n < 5; n++) await poll(pairings, 1_000_000 + n, "198.51.100.1");
    await flood(pairings, 1_000, (n) => `2001:db8:1:2::${n.toString(16)}`);
    expect(count(database)).toBe(205);
    for (let n = 0; n < 5; n++) expect((await pairings.status(keyOf(1_000_000 + n))).status).toBe("pending");
  });

  test("have more room where accounts have come from", async () => {
    const { database, limits, pairings } = opened();
    limits.addresses.authenticated("172.17.0.1", "a");
    limits.addresses.authenticated("172.17.0.1", "b");
    await flood(pairings, 400, () => "172.17.0.1");
    expect(count(database)).toBe(400);
  });

  test("an approval is not given up for them", async () => {
    const { database, pairings } = opened();
    await poll(pairings, 1_000_000);
    await pairings.approve("terminal", keyOf(1_000_000), await account(database), "ok");
    await flood(pairings, 500);
    expect(await poll(pairings, 1_000_000)).toMatchObject({ state: "authorized" });
  });

  test("approvals of one account are bounded too: the newest thousand wait to be fetched", async () => {
    const { database, pairings } = opened();
    const id = await account(database);
    for (let start = 0; start < 1_010; start += 101) {
      const some = Array.from({ length: 101 }, (_, n) => start + n);
      await Promise.all(some.map((n) => poll(pairings, n)));
      await Promise.all(some.map((n) => pairings.approve("terminal", keyOf(n), id, "ok")));
    }
    expect(count(database)).toBe(1_000);
    expect(await poll(pairings, 1_009)).toMatchObject({ state: "authorized" });
  });

  test("of all networks together: those that nobody asks for go first", () => {
    const waiting = new WaitingPairings(100);
    waiting.add("honest", "home", 10);
    const givenUp: string[] = [];
    for (let n = 0; n < 500; n++) {
      givenUp.push(...waiting.add(`x${n}`, `network ${n}`, 10));
      if (n % 50 === 0) waiting.asked("honest", "home");
    }
    expect(givenUp).toEqual(Array.from({ length: 401 }, (_, n) => `x${n}`));
    expect([waiting.size, waiting.has("honest"), waiting.sizeOf("home")]).toEqual([100, true, 1]);
    waiting.asked("honest", "office");
    expect([waiting.sizeOf("home"), waiting.sizeOf("office")]).toEqual([0, 1]);
    waiting.remove("honest");
    expect([waiting.size, waiting.sizeOf("office")]).toEqual([99, 0]);
  });
});

describe("over a restart", () => {
  test("requests go on waiting, and count", async () => {
    const first = opened();
    await poll(first.pairings, 1);
    await poll(first.pairings, 2);
    await first.close();
    const second = opened(first.folder);
    second.pairings.start();
    await second.pairings.clear();
    expect(second.pairings.waiting("terminal")).toBe(2);
    expect((await poll(second.pairings, 1)).state).toBe("requested");
    expect(count(second.database)).toBe(2);
  });

  test.each([
    ["2 s", 2_000],
    ["a day", DAY],
    ["a year", YEAR],
  ])(
    "with the clock set back by %s: one that waits and one that is delivered have their time, and no more",
    async (_, back) => {
      const first = opened();
      for (const n of [1, 2, 3]) await poll(first.pairings, n);
      const id = await account(first.database);
      await first.pairings.approve("terminal", keyOf(2), id, "two");
      await first.pairings.approve("terminal", keyOf(3), id, "three");
      const delivered = await poll(first.pairings, 2);
      await first.close();
      const { clock, database, pairings } = opened(first.folder);
      clock.now -= back;
      pairings.start();
      await pairings.clear();
      expect(await poll(pairings, 1)).toEqual({ state: "requested" });
      expect(await poll(pairings, 2)).toEqual(delivered);
      clock.now += 5 * MINUTE + 1;
      expect(await poll(pairings, 2)).toEqual({ state: "requested" });
      clock.now += 10 * MINUTE;
      expect((await pairings.status(keyOf(1))).status).toBe("not_found");
      expect(await poll(pairings, 3)).toMatchObject({ state: "authorized", response: "three" });
      clock.now += DAY;
      await pairings.clear();
      expect(count(database)).toBe(0);
    },
  );

  test("with the clock a year ahead: everything is over, and a poll begins anew", async () => {
    const first = opened();
    await poll(first.pairings, 1);
    await first.close();
    const { clock, pairings } = opened(first.folder);
    clock.now += YEAR;
    pairings.start();
    expect((await pairings.status(keyOf(1))).status).toBe("not_found");
    expect(await poll(pairings, 1)).toEqual({ state: "requested" });
    expect((await pairings.status(keyOf(1))).status).toBe("pending");
  });
});
