// Holds the comparison to: equal when nobody wrote, bounded when somebody did, and a loss is named.
import { expect, test } from "bun:test";
import { compareHighWater } from "./high-water.ts";

const still = { a: 5, b: null };

const cases: readonly [string, Parameters<typeof compareHighWater>, string[]][] = [
  ["the same", [{ before: still, after: still }, still], []],
  ["in between, while somebody writes", [{ before: { a: 5 }, after: { a: 9 } }, { a: 7 }], []],
  [
    "behind",
    [
      { before: still, after: still },
      { a: 4, b: null },
    ],
    ["The a is at 4 in the copy, and was at 5 to 5."],
  ],
  [
    "ahead",
    [
      { before: still, after: still },
      { a: 6, b: null },
    ],
    ["The a is at 6 in the copy, and was at 5 to 5."],
  ],
  [
    "nothing in it",
    [{ before: { a: 5 }, after: { a: 5 } }, { a: null }],
    ["The a is at nothing in the copy, and was at 5 to 5."],
  ],
  ["missing", [{ before: still, after: still }, { b: null }], ["The copy lacks the a."]],
  ["deleted meanwhile, and gone or still there", [{ before: { a: 1, c: 2 }, after: {} }, { c: 2 }], []],
  ["made meanwhile", [{ before: {}, after: { a: 3 } }, { a: 1 }], []],
  ["deleted in part meanwhile", [{ before: { a: 9 }, after: { a: null } }, { a: 4 }], []],
];

for (const [name, args, problems] of cases)
  test(`a copy that is ${name}`, () => {
    expect(compareHighWater(...args)).toEqual(problems);
  });
