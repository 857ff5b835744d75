// What one account may push at one time, and how long the same event counts as the same.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExpoService, expoService } from "../../../test/support/expo.ts";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { findOrCreateAccount } from "../store/accounts.ts";
import { happyStore } from "../store/index.ts";
import { migrations } from "../store/migrations.ts";
import { findPushTokens, registerPushToken } from "../store/push.ts";
import { Expo } from "./expo.ts";
import { Pusher } from "./pusher.ts";
import { eventKey, RecentPushes } from "./recent-pushes.ts";

const log = createLog("silent");
let folder: string;
let database: Database;
let service: ExpoService;
let account: string;
let pusher: Pusher;
let refused: string[];
let atMost = 3;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-push-"));
  database = openDatabase({ path: join(folder, "happy.db"), migrations, log });
  service = expoService();
  ({ account } = await database.writer.run((db) => findOrCreateAccount(db, "AA")));
  refused = [];
  atMost = 3;
  pusher = new Pusher({
    store: happyStore(database),
    expo: new Expo(service.url),
    isLooking: () => false,
    log,
    deadlineMs: 5_000,
    atMost: () => atMost,
    refused: (who) => refused.push(who),
  });
  service.devices.add("phone");
  await registerPushToken(database, account, "phone", 0);
});
afterEach(async () => {
  await pusher.stop();
  await service.stop();
  await database.close();
  rmSync(folder, { recursive: true });
});

const event = (title: string, data: Record<string, unknown> = {}) =>
  ({ account, sessionId: "s", kind: "done", title, body: "b", data }) as const;

test("so many pushes of one account are under way, a further one is refused and said", async () => {
  const gate = Promise.withResolvers<void>();
  service.broken = { after: gate.promise };
  const underWay = ["a", "b", "c"].map((title) => pusher.push(event(title)));
  const further = { outcome: "failed", reason: "Too many pushes at once", tokens: 0, delivered: 0 } as const;
  expect(await pusher.push(event("d"))).toEqual(further);
  expect(refused).toEqual([account]);
  // One that is under way is no further one.
  const same = pusher.push(event("a"));
  gate.resolve();
  expect(await same).toMatchObject({ outcome: "sent" });
  await Promise.all(underWay);
  expect(await pusher.push(event("d"))).toMatchObject({ outcome: "sent" });
  atMost = 0;
  const many = await Promise.all(Array.from({ length: 20 }, (_, n) => pusher.push(event(`${n}`))));
  expect(many.every(({ outcome }) => outcome === "sent")).toBe(true);
  expect(service.requests).toHaveLength(24);
});

test("data that no phone would get is not multiplied by the phones", async () => {
  expect(await pusher.push(event("large", { text: "x".repeat(20_000) }))).toEqual({
    outcome: "failed",
    reason: "MessageTooBig",
    tokens: 1,
    delivered: 0,
  });
  expect(service.requests).toEqual([]);
  expect(await findPushTokens(database, account)).toHaveLength(1);
});

test("the phone that registered longest ago is forgotten beyond the limit, never the one that has just come", async () => {
  const far = Date.now() + 366 * 86_400_000;
  await database.writer.run((db) => db.run(`UPDATE push_tokens SET updated_at = ${far}`));
  for (const [token, forgotten] of [["two", 0] as const, ["three", 1] as const, ["three", 0] as const])
    expect(await registerPushToken(database, account, token, 2)).toBe(forgotten);
  expect((await findPushTokens(database, account)).map(({ token }) => token)).toEqual(["three", "phone"]);
});

test("a key is the same for the same event, whatever its parts look like side by side", () => {
  expect(eventKey(event("a", { n: 1 }))).toBe(eventKey(event("a", { n: 1 })));
  const keys = [
    event("a"),
    event('a","b'),
    { ...event("a"), account: "another" },
    { ...event("a"), sessionId: "t" },
  ].map(eventKey);
  expect(new Set(keys).size).toBe(4);
});

test("what is remembered of one account has a bound, and is forgotten with a stop", async () => {
  const recent = new RecentPushes();
  const sent = { outcome: "sent", tokens: 1, delivered: 1 } as const;
  for (let n = 0; n < 150; n++) recent.add("me", `${n}`, Promise.resolve(sent));
  await Promise.resolve();
  const known = Array.from({ length: 150 }, (_, n) => n).filter(
    (n) => recent.find("me", `${n}`) !== undefined,
  );
  expect([known.length, known[0], known.at(-1)]).toEqual([100, 50, 149]);
  expect(recent.underWay("me")).toBe(0);
  recent.clear();
  expect(recent.find("me", "149")).toBeUndefined();
});
