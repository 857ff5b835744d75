// The figures of presence with its clock wound fast: how often heartbeats are stored, how long an ended session is not listened to,
// whom the sweep finds, and what a stop leaves behind (realtime contract 10).
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Presence, type PresenceTiming } from "../../src/happy/presence/presence.ts";
import { happyStore } from "../../src/happy/store/index.ts";
import { migrations } from "../../src/happy/store/migrations.ts";
import { findPresence, type PresenceKind } from "../../src/happy/store/presence.ts";
import type { Ephemeral } from "../../src/happy/wire/updates.ts";
import { createLog } from "../../src/observability/log.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const ME = "me";
const SOCKET = "socket";
const KINDS = ["session", "machine"] as const;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Nothing happens by itself within a test, unless the test says so. */
const STILL: PresenceTiming = {
  graceMs: HOUR_MS,
  flushMs: HOUR_MS,
  storeEveryMs: 30_000,
  sweepMs: HOUR_MS,
  silenceMs: 10 * MINUTE_MS,
  suppressMs: HOUR_MS,
};

let folder: string;
let database: Database;
let told: Ephemeral[];
let listening: Set<() => void>;
const started: Presence[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-presence-"));
  database = openDatabase({ path: join(folder, "happy.db"), migrations, log: createLog("silent") });
  told = [];
  listening = new Set();
});
afterEach(async () => {
  for (const presence of started.splice(0)) await presence.stop();
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

function presenceWith(timing: Partial<PresenceTiming>): Presence {
  const publisher = {
    update: () => {},
    comeAgain: () => {},
    ephemeral: (_audience: unknown, body: Ephemeral) => {
      told.push(body);
      for (const look of listening) look();
    },
  };
  const presence = new Presence({
    store: happyStore(database),
    publisher,
    log: createLog("silent"),
    timing: { ...STILL, ...timing },
    newestArchive: 0,
  });
  presence.start();
  started.push(presence);
  return presence;
}

/** Stores one session or machine that was last heard at `at`. */
async function stored(kind: PresenceKind, id: string, active: boolean, at: number): Promise<void> {
  await database.writer.run((db) => {
    db.run(
      "INSERT OR IGNORE INTO accounts (pk, id, public_key, created_at, updated_at) VALUES (1, 'me', 'k', 1, 1)",
    );
    const tag = kind === "session" ? ["tag, ", `'${id}', `] : ["", ""];
    db.run(
      `INSERT INTO ${kind}s (id, account_pk, ${tag[0]}metadata, active, last_active_at, created_at, updated_at)
       VALUES ('${id}', 1, ${tag[1]}'m', ${active ? 1 : 0}, ${at}, ${at}, ${at})`,
    );
  });
}

const row = async (kind: PresenceKind, id: string) => {
  const found = await findPresence(database, kind, ME, id);
  return found && { active: found.active, lastActiveAt: found.lastActiveAt };
};

/** Resolves when something fitting has been told. */
function untilTold(fits: (body: Ephemeral) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!told.some(fits)) return;
      listening.delete(look);
      resolve();
    };
    listening.add(look);
    look();
  });
}

const hear = (presence: Presence, kind: PresenceKind, id: string, at: number) =>
  presence.heard(kind, ME, id, at, false, SOCKET);

test("every heartbeat is told, and one in thirty seconds is stored", async () => {
  const presence = presenceWith({});
  const now = Date.now();
  for (const kind of KINDS) {
    await stored(kind, kind, true, now - 40_000);
    told = [];
    for (const age of [9_500, 9_000, 1_000]) await hear(presence, kind, kind, now - age);
    expect(told.map(({ activeAt }) => activeAt)).toEqual([now - 9_500, now - 9_000, now - 1_000]);
    await presence.flush();
    expect(await row(kind, kind)).toEqual({ active: true, lastActiveAt: now - 1_000 });
    await hear(presence, kind, kind, now);
    await presence.flush();
    expect(await row(kind, kind)).toEqual({ active: true, lastActiveAt: now - 1_000 });
  }
});

test("what is stored as inactive wakes with its first heartbeat, however fresh the stored time", async () => {
  const presence = presenceWith({});
  const now = Date.now();
  for (const kind of KINDS) {
    await stored(kind, kind, false, now);
    await hear(presence, kind, kind, now);
    await presence.flush();
    expect(await row(kind, kind)).toEqual({ active: true, lastActiveAt: now });
  }
});

test("heartbeats are stored by themselves every few seconds, and what still waits at a stop is stored then", async () => {
  const presence = presenceWith({ flushMs: 10 });
  const now = Date.now();
  await stored("session", "flushed", false, now - MINUTE_MS);
  await hear(presence, "session", "flushed", now);
  for (let bound = 0; bound < 400 && (await row("session", "flushed"))?.active !== true; bound++)
    await Bun.sleep(5);
  expect(await row("session", "flushed")).toEqual({ active: true, lastActiveAt: now });

  const stopping = presenceWith({});
  await stored("machine", "waiting", false, now - MINUTE_MS);
  await hear(stopping, "machine", "waiting", now);
  expect((await row("machine", "waiting"))?.active).toBe(false);
  await stopping.stop();
  expect(await row("machine", "waiting")).toEqual({ active: true, lastActiveAt: now });
});

test("a stop turns nobody inactive, not even who is within a grace", async () => {
  const now = Date.now();
  // Before it starts: one grace after that it takes whoever has not joined for gone.
  await stored("machine", "in grace", true, now);
  const presence = presenceWith({ graceMs: 20 });
  presence.socketJoined("machine", ME, "in grace", SOCKET);
  presence.socketLeft(SOCKET);
  await presence.stop();
  await stored("machine", "marker", true, now);
  // A later grace of another presence over the same rows ends; the first one's never does. Who is to be spoken for joins in the turn of
  // its start: one grace after that it takes all others for gone.
  const other = presenceWith({ graceMs: 40 });
  other.socketJoined("machine", ME, "marker", "other socket");
  other.socketLeft("other socket");
  other.socketJoined("machine", ME, "in grace", "keeps it");
  await untilTold(({ id }) => id === "marker");
  expect(await row("machine", "in grace")).toEqual({ active: true, lastActiveAt: now });
});

test("an ended session is not listened to for a minute, and is after it", async () => {
  const presence = presenceWith({ suppressMs: 60 });
  await stored("session", "ended", true, Date.now());
  const endedAt = Date.now();
  await presence.end(ME, "ended", endedAt);
  expect(told.at(-1)).toMatchObject({ id: "ended", active: false, activeAt: endedAt });
  told = [];
  let heardAfter = 0;
  for (let bound = 0; bound < 400 && told.length === 0; bound++) {
    await hear(presence, "session", "ended", Date.now());
    heardAfter = Date.now() - endedAt;
    if (told.length === 0) await Bun.sleep(5);
  }
  expect(heardAfter).toBeGreaterThanOrEqual(60);
  expect(told).toMatchObject([{ id: "ended", active: true }]);
  await presence.flush();
  expect((await row("session", "ended"))?.active).toBe(true);
});

test("opening the session again ends the suppression at once; heartbeats that waited before the end are not stored", async () => {
  const presence = presenceWith({});
  const now = Date.now();
  await stored("session", "again", true, now - MINUTE_MS);
  await hear(presence, "session", "again", now - 1);
  await presence.end(ME, "again", now);
  await presence.flush();
  expect(await row("session", "again")).toEqual({ active: false, lastActiveAt: now });
  told = [];
  await hear(presence, "session", "again", now);
  expect(told).toEqual([]);
  presence.lift(ME, "again");
  await hear(presence, "session", "again", now);
  expect(told).toMatchObject([{ id: "again", active: true }]);
});

test("the sweep finds what has been without a speaker for ten minutes of its own time, whatever time it carries", async () => {
  const now = Date.now();
  const times = { past: now - 366 * 24 * HOUR_MS, present: now, future: now + 366 * 24 * HOUR_MS };
  const presence = presenceWith({ sweepMs: 10, silenceMs: 50 });
  for (const kind of KINDS) {
    for (const [name, at] of Object.entries(times)) await stored(kind, `${name} ${kind}`, true, at);
    await stored(kind, `inactive ${kind}`, false, times.past);
    await stored(kind, `spoken ${kind}`, true, times.future);
    await hear(presence, kind, `spoken ${kind}`, now);
  }
  const gone = KINDS.flatMap((kind) => Object.keys(times).map((name) => `${name} ${kind}`));
  await Promise.all(gone.map((id) => untilTold((body) => body.id === id && body.active === false)));
  for (const kind of KINDS) {
    const future = await row(kind, `future ${kind}`);
    // A time of the future is healed, in the database and on the phones alike.
    expect(future?.lastActiveAt).toBeLessThanOrEqual(Date.now());
    expect(told.find(({ id }) => id === `future ${kind}`)?.activeAt).toBe(future?.lastActiveAt);
    expect(await row(kind, `past ${kind}`)).toEqual({ active: false, lastActiveAt: times.past });
    expect(await row(kind, `present ${kind}`)).toEqual({ active: false, lastActiveAt: times.present });
    expect((await row(kind, `spoken ${kind}`))?.active).toBe(true);
  }
  expect(told.filter(({ active }) => active === false)).toHaveLength(gone.length);
});

test("the sweep never turns inactive what a connected socket speaks for, however long it says nothing", async () => {
  await stored("session", "quiet", true, 1);
  await stored("machine", "connected", true, 1);
  const presence = presenceWith({ sweepMs: 5, silenceMs: 20 });
  // In the turn of its start, before the first sweep.
  const heard = hear(presence, "session", "quiet", Date.now());
  presence.socketJoined("machine", ME, "connected", "its daemon");
  await heard;
  // What has nobody shows when the sweep has come around several times.
  for (const marker of ["first", "second"]) {
    await stored("session", marker, true, Date.now());
    await untilTold(({ id, active }) => id === marker && active === false);
  }
  expect((await row("session", "quiet"))?.active).toBe(true);
  expect((await row("machine", "connected"))?.active).toBe(true);
});

test("what the sweep turned inactive wakes with its next heartbeat", async () => {
  const presence = presenceWith({ sweepMs: 10, silenceMs: 50, storeEveryMs: HOUR_MS });
  await stored("session", "slow", true, Date.now());
  await untilTold(({ active }) => active === false);
  expect((await row("session", "slow"))?.active).toBe(false);
  const now = Date.now();
  await hear(presence, "session", "slow", now);
  await presence.flush();
  expect(await row("session", "slow")).toEqual({ active: true, lastActiveAt: now });
});

test("one grace after a start, what has no speaker turns inactive as of when it was heard, whatever time it carries", async () => {
  const before = Date.now() - 1_000;
  const ahead = Date.now() + 366 * 24 * HOUR_MS;
  for (const id of ["silent", "spoken", "watched"]) await stored("session", id, true, before);
  await stored("session", "from the future", true, ahead);
  await stored("machine", "connected", true, ahead);
  const presence = presenceWith({ graceMs: 30 });
  await hear(presence, "session", "spoken", Date.now());
  presence.socketJoined("session", ME, "watched", "an agent");
  presence.socketJoined("machine", ME, "connected", "its daemon");
  await untilTold(({ id, active }) => id === "watched" && active === false);
  const healed = await row("session", "from the future");
  expect(healed?.lastActiveAt).toBeLessThanOrEqual(Date.now());
  const gone = (id: string, activeAt: number | undefined) => ({
    type: "activity",
    id,
    active: false,
    activeAt,
    thinking: false,
  });
  expect(told.filter(({ active }) => !active)).toEqual([
    gone("silent", before),
    gone("watched", before),
    gone("from the future", healed?.lastActiveAt),
  ]);
  expect(await row("session", "silent")).toEqual({ active: false, lastActiveAt: before });
  expect((await row("session", "spoken"))?.active).toBe(true);
  expect((await row("machine", "connected"))?.active).toBe(true);
});

test("who watches a session neither ends its grace nor begins it anew, by coming or by going", async () => {
  const presence = presenceWith({ graceMs: 150 });
  const now = Date.now();
  await stored("session", "left", true, now);
  await hear(presence, "session", "left", now);
  const lostAt = performance.now();
  presence.socketLeft(SOCKET);
  presence.socketJoined("session", ME, "left", "watcher");
  presence.socketJoined("session", ME, "left", "another");
  const leaving = setInterval(() => {
    presence.socketJoined("session", ME, "left", "visitor");
    presence.socketLeft("visitor");
  }, 20);
  await untilTold(({ id, active }) => id === "left" && active === false);
  clearInterval(leaving);
  const after = performance.now() - lostAt;
  expect(after).toBeGreaterThanOrEqual(145);
  expect((await row("session", "left"))?.active).toBe(false);
  // A watcher that does beat speaks for it.
  await presence.heard("session", ME, "left", Date.now(), false, "watcher");
  expect(told.at(-1)).toMatchObject({ id: "left", active: true });
});

test("what was made active without a heartbeat has one grace to be spoken for", async () => {
  const presence = presenceWith({ graceMs: 40 });
  const now = Date.now();
  for (const id of ["nobody", "spoken"]) {
    await stored("session", id, true, now);
    presence.madeActive("session", ME, id);
  }
  await hear(presence, "session", "spoken", now);
  await untilTold(({ active }) => active === false);
  expect(told.filter(({ active }) => active === false)).toMatchObject([{ id: "nobody" }]);
  expect((await row("session", "spoken"))?.active).toBe(true);
});

test("a heartbeat that could not be stored is stored with the next one", async () => {
  const presence = presenceWith({ storeEveryMs: HOUR_MS });
  const now = Date.now();
  await stored("session", "unlucky", false, now);
  await hear(presence, "session", "unlucky", now);
  await database.writer.run((db) => db.run("ALTER TABLE sessions RENAME TO away"));
  await expect(presence.flush()).rejects.toThrow();
  await database.writer.run((db) => db.run("ALTER TABLE away RENAME TO sessions"));
  await hear(presence, "session", "unlucky", now);
  await presence.flush();
  expect(await row("session", "unlucky")).toEqual({ active: true, lastActiveAt: now });
});

test("a person's archive goes on when the minute after it is over", async () => {
  const presence = presenceWith({ suppressMs: 0 });
  await stored("session", "archived", true, Date.now());
  await hear(presence, "session", "archived", Date.now());
  expect(await presence.archive(ME, "archived")).toBe(true);
  told = [];
  for (let beat = 0; beat < 3; beat++) await hear(presence, "session", "archived", Date.now());
  await presence.flush();
  expect(told).toEqual([]);
  expect((await row("session", "archived"))?.active).toBe(false);
  expect(await presence.archive(ME, "unknown")).toBe(false);
});

test("an end that could not be stored leaves the session as it was: heard, and in its grace when nothing speaks for it", async () => {
  const presence = presenceWith({ graceMs: 1_000 });
  for (const id of ["spoken", "lost"]) await stored("session", id, true, Date.now());
  await hear(presence, "session", "spoken", Date.now());
  await presence.heard("session", ME, "lost", Date.now(), false, "gone");
  presence.socketLeft("gone");
  await database.writer.run((db) =>
    db.run("CREATE TRIGGER refuse BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END"),
  );
  await expect(presence.archive(ME, "spoken")).rejects.toThrow();
  await expect(presence.end(ME, "lost", Date.now())).rejects.toThrow();
  await database.writer.run((db) => db.run("DROP TRIGGER refuse"));
  told = [];
  await hear(presence, "session", "spoken", Date.now());
  expect(told).toMatchObject([{ id: "spoken", active: true }]);
  await untilTold(({ id, active }) => id === "lost" && active === false);
  expect((await row("session", "lost"))?.active).toBe(false);
  expect((await row("session", "spoken"))?.active).toBe(true);
});
