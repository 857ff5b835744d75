// What one account may push at one time, and how long the same event counts as the same.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExpoService, expoService } from "../../../test/support/expo.ts";
import { createLog } from "../../observability/log.ts";
import { Expo } from "../../push/channels/expo.ts";
import { eventKey } from "../../push/recent-pushes.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { findOrCreateAccount } from "../store/accounts.ts";
import { happyStore } from "../store/index.ts";
import { migrations } from "../store/migrations.ts";
import { findPushTokens, registerPushToken } from "../store/push.ts";
import { HappyPushLedger } from "./ledger.ts";
import { type HappyPusher, happyPusher, pushOf } from "./push-events.ts";

const log = createLog("silent");
let folder: string;
let database: Database;
let service: ExpoService;
let account: string;
let pusher: HappyPusher;
let refused: string[];
let atMost = 3;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-push-"));
  database = openDatabase({ path: join(folder, "happy.db"), migrations, log });
  service = expoService();
  ({ account } = await database.writer.run((db) => findOrCreateAccount(db, "AA")));
  refused = [];
  atMost = 3;
  pusher = happyPusher({
    ledger: new HappyPushLedger(happyStore(database)),
    channel: new Expo(service.url),
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

const facts = (title: string, data: Record<string, unknown> = {}) =>
  ({ account, sessionId: "s", kind: "done", title, body: "b", data }) as const;
const event = (title: string, data?: Record<string, unknown>) => pushOf(facts(title, data));

test("so many pushes of one account are under way, a further one is refused and said", async () => {
  const gate = Promise.withResolvers<void>();
  service.broken = { after: gate.promise };
  const underWay = ["a", "b", "c"].map((title) => pusher.push(event(title)));
  const further = { outcome: "failed", reason: "Too many pushes at once", devices: 0, delivered: 0 } as const;
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

test("the same event twice while the ledger is read is pushed once, and one that the ledger knows is not pushed again", async () => {
  const store = happyStore(database);
  const gates: (() => void)[] = [];
  const slow = happyPusher({
    ledger: new HappyPushLedger({
      ...store,
      findKeptPush: async (...what) => {
        const found = await store.findKeptPush(...what);
        await new Promise<void>((go) => gates.push(go));
        return found;
      },
    }),
    channel: new Expo(service.url),
    isLooking: () => false,
    log,
    atMost: () => 0,
    refused: () => {},
  });
  let isNew = 0;
  const twice = [1, 2].map(() => slow.push(event("same"), () => isNew++));
  await Bun.sleep(1);
  for (const go of gates.splice(0)) go();
  expect(await Promise.all(twice)).toMatchObject([{ outcome: "sent" }, { outcome: "sent" }]);
  expect([service.requests.length, isNew]).toEqual([1, 1]);
  await slow.stop();
  // As after a restart: only the ledger knows.
  expect(await pusher.push(event("same"), () => isNew++)).toMatchObject({ outcome: "sent", delivered: 1 });
  expect([service.requests.length, isNew]).toEqual([1, 1]);
});

test("data that no phone would get is not multiplied by the phones", async () => {
  expect(await pusher.push(event("large", { text: "x".repeat(20_000) }))).toEqual({
    outcome: "failed",
    reason: "MessageTooBig",
    devices: 1,
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

test("an event is the same by its account, session, kind, texts and data, whatever these look like side by side", () => {
  const keyOf = (of: Parameters<typeof pushOf>[0]) => eventKey(pushOf(of).event);
  expect(keyOf(facts("a", { n: 1 }))).toBe(keyOf(facts("a", { n: 1 })));
  const keys = [
    facts("a"),
    facts('a","b'),
    facts("a", { n: 1 }),
    { ...facts("a"), account: "another" },
    { ...facts("a"), sessionId: "t" },
    { ...facts("a"), kind: "question" as const },
    { ...facts("a"), body: "c" },
  ].map(keyOf);
  expect(new Set(keys).size).toBe(7);
});

test("the key of an event is that of earlier releases: their ledgers are looked up in", () => {
  const { event } = pushOf({
    account: "a",
    sessionId: "s",
    kind: "done",
    title: "t",
    body: "b",
    data: { n: 1 },
  });
  expect(eventKey(event)).toBe("_0aw-7ME_Z61Q7dPhX4lfSGItCfWbr5xcF_A1EhIlQY");
});
