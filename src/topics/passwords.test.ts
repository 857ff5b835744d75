// Checks of passwords are work that anybody may ask for: few run at a time, the rest waits in line, and the line is bounded.
import { afterEach, expect, spyOn, test } from "bun:test";
import { hashPassword, passwordMatches } from "./passwords.ts";

const spies: { mockRestore(): void }[] = [];
afterEach(() => {
  for (const spy of spies.splice(0)) spy.mockRestore();
});

test("a password matches its hash and no other; nobody matches nothing", async () => {
  const hash = await hashPassword("secret");
  expect(await passwordMatches("secret", hash)).toBe(true);
  expect(await passwordMatches("Secret", hash)).toBe(false);
  expect(await passwordMatches("secret", undefined)).toBe(false);
  expect(await passwordMatches("secret", "no hash")).toBe(false);
});

test("two are checked at once, a hundred wait in order, the next one is refused, and nobody is forgotten", async () => {
  const running: ((matches: boolean) => void)[] = [];
  spies.push(
    spyOn(Bun.password, "verify").mockImplementation(
      () => new Promise<boolean>((resolve) => running.push(resolve)),
    ),
  );
  const answered: number[] = [];
  const checks = Array.from({ length: 102 }, (_, n) =>
    passwordMatches("x", "hash").then((matches) => {
      answered.push(n);
      return matches;
    }),
  );
  expect(running).toHaveLength(2);
  await expect(passwordMatches("x", "hash")).rejects.toMatchObject({ code: 2003 });
  for (let n = 0; n < 102; n++) {
    running[n]?.(true);
    await checks[n];
  }
  expect(await Promise.all(checks)).toEqual(Array(102).fill(true));
  expect(answered).toEqual(Array.from({ length: 102 }, (_, n) => n));
  const late = passwordMatches("x", "hash");
  running.at(-1)?.(false);
  expect(await late).toBe(false);
});
