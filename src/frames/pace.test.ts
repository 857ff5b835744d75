// The hub's part of a turn of the event loop: ten milliseconds, then what comes waits for the next turn, in order.
import { expect, test } from "bun:test";
import { Inbox } from "./inbox.ts";
import { Pace } from "./pace.ts";
import { QueueBudget } from "./queue-budget.ts";

const busy = (ms: number) => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};

test("is used up after ten milliseconds of one turn, and there again in the next", async () => {
  const pace = new Pace();
  expect(pace.spent).toBe(false);
  busy(11);
  expect(pace.spent).toBe(true);
  await pace.nextTurn();
  expect(pace.spent).toBe(false);
});

test("a burst of one client is handled in slices, and the event loop has its turns between them", async () => {
  const order: string[] = [];
  const all = Promise.withResolvers<void>();
  const inbox = new Inbox<string>({
    handle: (item) => {
      busy(4);
      order.push(item);
      if (item === "9") all.resolve();
    },
    budget: new QueueBudget(
      () => 2 ** 20,
      () => {},
    ),
    pace: new Pace(),
  });
  let turns = 0;
  const count = () => {
    turns++;
    if (order.length < 10) setImmediate(count);
  };
  setImmediate(count);
  for (let index = 0; index < 10; index++) inbox.accept(`${index}`);
  expect(order.length).toBeWithin(1, 5);
  await all.promise;
  expect(order).toEqual(Array.from({ length: 10 }, (_, index) => `${index}`));
  expect(turns).toBeGreaterThan(1);
});
