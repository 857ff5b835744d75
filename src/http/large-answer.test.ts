// Lists and values as one text while they are small, and piece by piece where they are not; what goes wrong on the way is logged.
import { expect, test } from "bun:test";
import type { Logger } from "pino";
import { testLimits } from "../../test/support/limits.ts";
import { createLog } from "../observability/log.ts";
import { ValueChanged } from "../storage/stored-value.ts";
import { listBody, type Pieces, piecesStream, valueBody } from "./large-answer.ts";

const ROWS = [{ id: 1 }, { id: 2 }];
const idOf = ({ id }: { id: number }) => ({ id: `#${id}` });
const written = async (body: string | Pieces) =>
  typeof body === "string"
    ? body
    : (await Array.fromAsync({ [Symbol.asyncIterator]: () => body })).map(String).join("");
async function* each<T>(rows: readonly T[]) {
  yield* rows;
}

test.each<[string | undefined, Record<string, unknown>]>([
  ["rows", {}],
  ["rows", { hasMore: true, next: null }],
  [undefined, {}],
])("a list %p with %p is the same text, light or heavy", async (name, rest) => {
  for (const rows of [ROWS, []]) {
    const light = listBody(name, { rows, isHeavy: false }, idOf, rest);
    const heavy = listBody(name, { rows: each(rows), isHeavy: true }, idOf, rest);
    expect([typeof light, typeof heavy]).toEqual(["string", "object"]);
    expect(await written(heavy)).toBe(await written(light));
    expect(JSON.parse(await written(light))).toEqual(
      name === undefined ? rows.map(idOf) : { rows: rows.map(idOf), ...rest },
    );
  }
});

test("a value without stored parts is a text", () => {
  expect(valueBody({ a: [1, "b"] })).toBe('{"a":[1,"b"]}');
});

test("rows are read when the client takes them", async () => {
  let read = 0;
  async function* rows() {
    for (const row of ROWS) {
      read++;
      yield row;
    }
  }
  const body = listBody("rows", { rows: rows(), isHeavy: true }, idOf) as Pieces;
  const stream = piecesStream({ answers: testLimits().answers, log: createLog("silent") }, body);
  expect(read).toBe(0);
  expect(await new Response(stream).json()).toEqual({ rows: [{ id: "#1" }, { id: "#2" }] });
  expect(read).toBe(2);
});

test.each([
  [new ValueChanged("gone by now"), "debug"],
  [new Error("the disk"), "error"],
])("after %p nobody takes the answer for whole, and the log has it as %s", async (error, level) => {
  const said: string[] = [];
  const log = { debug: () => said.push("debug"), error: () => said.push("error") } as unknown as Logger;
  async function* pieces() {
    yield "[1,";
    throw error;
  }
  const stream = piecesStream({ answers: testLimits().answers, log }, pieces());
  expect(new Response(stream).text()).rejects.toThrow();
  await Bun.sleep(0);
  while (said.length === 0) await Bun.sleep(1);
  expect(said).toEqual([level]);
});
