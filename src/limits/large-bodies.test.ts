// One at a time, the accounts in turn, nobody for ever.
import { expect, test } from "bun:test";
import { OverBudget } from "./body-budget.ts";
import { LargeBodies } from "./large-bodies.ts";

test("one account's second body comes after the other accounts' first", async () => {
  const bodies = new LargeBodies();
  const served: string[] = [];
  let running = 0;
  const upload = async (account: string, name: string) => {
    const end = await bodies.turn(account);
    running++;
    expect(running).toBe(1);
    served.push(name);
    await Bun.sleep(1);
    running--;
    end();
  };
  await Promise.all([
    upload("a", "a1"),
    upload("a", "a2"),
    upload("a", "a3"),
    upload("b", "b1"),
    upload("c", "c1"),
    upload("b", "b2"),
  ]);
  expect(served).toEqual(["a1", "a2", "b1", "c1", "a3", "b2"]);
});

test("who waits too long, and who finds too many waiting, is asked to come again; the next is served all the same", async () => {
  const bodies = new LargeBodies(20);
  const end = await bodies.turn("a");
  const waiting = Array.from({ length: 65 }, () => bodies.turn("b").catch((error: unknown) => error));
  const answers = await Promise.all(waiting);
  expect(answers.every((answer) => answer instanceof OverBudget)).toBe(true);
  end();
  end();
  (await bodies.turn("c"))();
});
