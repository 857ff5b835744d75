// Invites, signed challenges and revocations, when the clock was corrected since their times were stored: an invite has its time and no
// more, a replay stays one, and a revocation shuts out what was issued before it and nothing else.
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq } from "drizzle-orm";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { Revocations } from "../admission/revocations.ts";
import { findOrCreateAccount } from "./accounts.ts";
import type { AdmissionRules } from "./admission.ts";
import { signIn } from "./challenges.ts";
import { createInvite, settleInvites, takeInvite } from "./invites.ts";
import { migrations } from "./migrations.ts";
import { loadRefusals, revokeAllTokens } from "./revocations.ts";
import { accounts } from "./schema.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const YEAR = 365 * DAY;
const NOW = Date.now();

const opened: Database[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function open(): Database {
  const folder = mkdtempSync(join(tmpdir(), "roost-entry-"));
  folders.push(folder);
  const database = openDatabase({ path: join(folder, "happy.db"), migrations, log: createLog("silent") });
  opened.push(database);
  return database;
}

const take = ({ writer }: Database, code: string, now: number) =>
  writer.run((db) => takeInvite(db, code, now));

test.each([
  ["2 s", 2_000],
  ["a day", DAY],
  ["a year", YEAR],
])(
  "an invite that was made by a clock ahead by %s has its whole time from the next start on, and no more",
  async (_, ahead) => {
    const database = open();
    const { code } = await createInvite(database, 9, DAY, NOW + ahead);
    await settleInvites(database, NOW);
    expect(await take(database, code, NOW)).toBe(true);
    // Not longer with every start.
    await settleInvites(database, NOW + DAY - 1);
    expect(await take(database, code, NOW + DAY - 1)).toBe(true);
    expect(await take(database, code, NOW + DAY)).toBe(false);
  },
);

test("an invite that was seen to be over does not come back when the clock is set back", async () => {
  const database = open();
  const { code } = await createInvite(database, 9, DAY, NOW);
  expect(await take(database, code, NOW + DAY)).toBe(false);
  await settleInvites(database, NOW);
  expect(await take(database, code, NOW)).toBe(false);
});

test("what a person is told about an invite is the time on their own clock", async () => {
  const { expiresAt } = await createInvite(open(), 1, DAY, NOW + YEAR);
  expect(Math.abs(expiresAt - Date.now() - DAY)).toBeLessThan(MINUTE);
});

const RULES: AdmissionRules = { registration: "open", invite: undefined, client: "", network: "" };
const KEY = new Uint8Array(32).fill(7);

test.each([
  ["at once", 0, true],
  ["within five minutes", 5 * MINUTE, true],
  ["later", 5 * MINUTE + 1, false],
  ["a year later", YEAR, false],
  ["after a restart with the clock 2 s back", -2_000, false],
  ["after a restart with the clock a day back", -DAY, false],
])("a signed challenge that is sent again %s", async (_, later, accepted) => {
  const database = open();
  const challenge = new Uint8Array(32).fill(1);
  expect(await signIn(database, KEY, challenge, RULES, NOW)).toMatchObject({ kind: "admitted" });
  expect((await signIn(database, KEY, challenge, RULES, NOW + later)) !== undefined).toBe(accepted);
  expect(await signIn(database, KEY, new Uint8Array(32).fill(2), RULES, NOW + later)).toBeDefined();
});

async function account({ writer }: Database): Promise<string> {
  return (await writer.run((db) => findOrCreateAccount(db, "AA"))).account;
}

test("a revocation is by generation: what was issued before is refused at any time, what is issued after counts at any time", async () => {
  const database = open();
  const id = await account(database);
  for (const times of [1, 2]) {
    const access = new Revocations(await loadRefusals(database));
    const before = { account: id, id: "x", ...access.issueFor(id) };
    await revokeAllTokens(database, id, (cut) => access.revokeBefore(id, cut));
    for (const reader of [access, new Revocations(await loadRefusals(database))]) {
      for (const offset of [-YEAR, -DAY, 0, DAY, YEAR]) {
        const issuedAt = Math.floor((NOW + offset) / 1_000);
        expect([times, offset, reader.refuses({ ...before, issuedAt })]).toEqual([times, offset, true]);
        const after = { account: id, id: "y", ...reader.issueFor(id), issuedAt };
        expect([times, offset, reader.refuses(after)]).toEqual([times, offset, false]);
      }
      expect(reader.refuses({ account: "another", id: "z", issuedAt: 0, generation: 0 })).toBe(false);
    }
  }
  const [row] = database.reads.select().from(accounts).where(eq(accounts.id, id)).all();
  expect(row?.tokensValidFrom ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(Date.now() / 1_000);
});

test("an older backup that is restored does not make tokens of a later generation count again", async () => {
  const database = open();
  const id = await account(database);
  await revokeAllTokens(database, id, () => {});
  const leaked = { account: id, id: "x", ...new Revocations(await loadRefusals(database)).issueFor(id) };
  // The backup is of before; its owner revokes again, a while later.
  await database.writer.run((db) =>
    db.update(accounts).set({ tokensGeneration: 0, tokensValidFrom: null }).where(eq(accounts.id, id)).run(),
  );
  await Bun.sleep(1_100);
  await revokeAllTokens(database, id, () => {});
  expect(new Revocations(await loadRefusals(database)).refuses(leaked)).toBe(true);
});

test.each([
  ["a day ago", -DAY],
  ["a day ahead", DAY],
  ["a year ahead", YEAR],
])(
  "a cut of an earlier version, by a clock of %s, holds for its tokens, and what is issued counts",
  async (_, at) => {
    const database = open();
    const id = await account(database);
    const validFrom = Math.floor((NOW + at) / 1_000);
    await database.writer.run((db) =>
      db.update(accounts).set({ tokensValidFrom: validFrom }).where(eq(accounts.id, id)).run(),
    );
    const access = new Revocations(await loadRefusals(database));
    const token = (issuedAt: number) => ({ account: id, id: "x", issuedAt, generation: 0 });
    expect(access.refuses(token(validFrom - 1))).toBe(true);
    expect(access.refuses(token(validFrom))).toBe(false);
    expect(access.refuses({ account: id, id: "y", ...access.issueFor(id) })).toBe(false);
  },
);
