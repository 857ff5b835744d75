// What a page that takes a terminal over is shown: the end of what there was, in whole characters, in bounded memory.
import { expect, test } from "bun:test";
import { PastOutput } from "./past-output.ts";

test("nothing costs nothing, and little is kept whole", () => {
  const past = new PastOutput(100_000);
  expect([past.text(), past.heldBytes]).toEqual(["", 0]);
  past.add("a");
  past.add("ü€😀");
  expect(past.text()).toBe("aü€😀");
  expect(past.heldBytes).toBeLessThanOrEqual(4_096);
});

test.each([["a"], ["ü"], ["€"], ["😀"], ["a€"]])(
  "of %s without end the end is kept, within the limit",
  (piece) => {
    const past = new PastOutput(10_000);
    let all = "";
    for (let round = 0; round < 9_000; round++) {
      const data = piece.repeat((round % 7) + 1);
      all += data;
      past.add(data);
    }
    const text = past.text();
    expect(all.endsWith(text)).toBe(true);
    expect(past.heldBytes).toBe(10_000);
    expect(Buffer.byteLength(text)).toBeGreaterThan(7_400);
  },
);

test("of one piece that is larger than the limit its end is kept", () => {
  const past = new PastOutput(1_000);
  past.add("before");
  past.add(`${"x".repeat(5_000)}${"€".repeat(200)}end`);
  const text = past.text();
  expect(text.endsWith("€end")).toBe(true);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1_000);
  expect(Buffer.byteLength(text)).toBeGreaterThan(990);
  past.add("!");
  expect(past.text().endsWith("€end!")).toBe(true);
  past.clear();
  expect([past.text(), past.heldBytes]).toEqual(["", 0]);
});
