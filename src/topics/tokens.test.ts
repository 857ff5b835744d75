// Login tokens while the clock is corrected: one that is handed out counts, and a clock alone never makes one from nothing.
import { expect, test } from "bun:test";
import { LoginTokens } from "./tokens.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const user = { uid: 1, username: "admin", role: "admin" };

function issuer(lifetimeMinutes: number) {
  const clock = { offset: 0 };
  const options = { secret: "s".repeat(32), issuer: "roost", lifetimeMinutes };
  return { clock, tokens: new LoginTokens(options, () => Date.now() + clock.offset) };
}

test.each([
  ["2 s back", -2_000],
  ["a day back", -DAY],
  ["a year back", -365 * DAY],
])("%s: tokens of before and fresh ones count", async (_, move) => {
  const { clock, tokens } = issuer(60);
  const before = await tokens.issue(user);
  clock.offset = move;
  const fresh = await tokens.issue(user);
  for (const { token } of [before, fresh]) expect((await tokens.verify(token)).uid).toBe(1);
  expect(fresh.expiresAt.getTime() - (Date.now() + move)).toBeLessThanOrEqual(60 * MINUTE);
});

test.each([
  ["a day ahead", DAY],
  ["a year ahead", 365 * DAY],
])("%s: tokens of before are over, fresh ones count", async (_, move) => {
  const { clock, tokens } = issuer(60);
  const before = await tokens.issue(user);
  clock.offset = move;
  await expect(tokens.verify(before.token)).rejects.toMatchObject({ code: 1003 });
  expect((await tokens.verify((await tokens.issue(user)).token)).uid).toBe(1);
});

test("an ended token is not a new one in the next second", async () => {
  const { clock, tokens } = issuer(1);
  const { token } = await tokens.issue(user);
  clock.offset = MINUTE;
  await expect(tokens.verify(token)).rejects.toMatchObject({ code: 1003 });
});
