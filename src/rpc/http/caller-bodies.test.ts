// What calls hold of the server: a part of the whole, a network a part of that, and nothing is left when they are answered.
import { expect, test } from "bun:test";
import { testLimits } from "../../../test/support/limits.ts";
import { OverBudget } from "../../limits/body-budget.ts";
import { LargeBodies } from "../../limits/large-bodies.ts";
import { CallerBodies } from "./caller-bodies.ts";

const open = () => new CallerBodies({ limitBytes: () => 1_000, bounds: testLimits().bounds });
const at = (clientAddress: string) => ({ clientAddress });

test("a network has half, all have the whole, and one alone may be larger", () => {
  const bodies = open();
  const [a, b, c] = ["10.0.0.1", "10.0.0.1", "10.0.0.2"].map((address) => bodies.share(at(address)));
  a?.take(400);
  expect(() => b?.take(101)).toThrow(OverBudget);
  b?.take(100);
  c?.take(500);
  expect(() => bodies.share(at("10.0.0.3")).take(1)).toThrow(OverBudget);
  a?.release();
  b?.release();
  c?.release();
  expect([bodies.heldBytes, bodies.networks]).toEqual([0, 0]);
  const alone = bodies.share(at("10.0.0.1"));
  alone.take(600);
  // It goes on with what it has begun.
  alone.take(5_000);
  expect(() => bodies.share(at("10.0.0.1")).take(1)).toThrow(OverBudget);
  alone.release();
  expect([bodies.heldBytes, bodies.networks]).toEqual([0, 0]);
  // What comes after the answer is of no use.
  expect(() => alone.take(1)).toThrow(OverBudget);
});

test("addresses of one IPv6 network are one caller", () => {
  const bodies = open();
  bodies.share(at("2001:db8::1")).take(500);
  expect(() => bodies.share(at("2001:db8::2")).take(1)).toThrow(OverBudget);
  bodies.share(at("2001:db8:0:1::1")).take(500);
});

test("of one network so many large ones wait; another one waits behind none of them but the first", async () => {
  const bodies = new CallerBodies({
    limitBytes: () => 1_000,
    bounds: testLimits().bounds,
    large: new LargeBodies(20_000),
  });
  const first = await bodies.turn("10.0.0.1");
  const order: string[] = [];
  const turn = async (address: string) => {
    const end = await bodies.turn(address);
    order.push(address);
    end(1);
  };
  const waiting = Array.from({ length: 8 }, () => turn("10.0.0.1"));
  await expect(bodies.turn("10.0.0.1")).rejects.toThrow(OverBudget);
  const other = turn("10.0.0.2");
  first(9_000_000);
  await Promise.all([...waiting, other]);
  expect(order.indexOf("10.0.0.2")).toBe(1);
  expect(bodies.networks).toBe(0);
});
