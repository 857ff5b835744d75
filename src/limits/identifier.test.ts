// What can be an identifier, and in which words it is refused.
import { Database as Sqlite } from "bun:sqlite";
import { expect, test } from "bun:test";
import { identifier, isIdentifier, NO_PATH_STEP, NOT_WELL_FORMED, pathIdentifier } from "./identifier.ts";

const ILL_FORMED = ["\ud800", "\udc00", "a\ud83d", "\ude00b", "\ude00\ud83d", "x\udbffy"];
const WELL_FORMED = [
  "",
  " ",
  "a",
  "a ",
  "a\0b",
  "\0",
  "é",
  "e\u0301",
  "\ufffd",
  "\u{1f600}",
  "\uffff",
  "x".repeat(16_384),
];

test.each(ILL_FORMED)("%j is not well-formed", (text) => {
  expect(isIdentifier(text)).toBe(false);
  for (const schema of [identifier, identifier.min(1), pathIdentifier])
    expect(schema.safeParse(text).error?.issues.map(({ message }) => message)).toContain(NOT_WELL_FORMED);
});

test("everything else is kept apart by the database", () => {
  const sqlite = new Sqlite(":memory:");
  sqlite.run("CREATE TABLE texts (text TEXT UNIQUE)");
  for (const text of WELL_FORMED) {
    expect([isIdentifier(text), identifier.safeParse(text).data]).toEqual([true, text]);
    sqlite.query("INSERT INTO texts VALUES (?)").run(text);
  }
  expect(sqlite.query<{ text: string }, []>("SELECT text FROM texts ORDER BY rowid").all()).toEqual(
    WELL_FORMED.map((text) => ({ text })),
  );
});

test("lengths are bytes for an index and UTF-16 units for a path", () => {
  const told = (schema: typeof identifier, text: string) => schema.safeParse(text).error?.issues[0]?.message;
  expect(told(identifier, "x".repeat(16_385))).toBe("Too big: expected string to have <=16384 bytes");
  expect(told(identifier, "é".repeat(8_193))).toBe("Too big: expected string to have <=16384 bytes");
  expect(told(identifier, "é".repeat(8_192))).toBeUndefined();
  expect(told(pathIdentifier, "x".repeat(101))).toBe("Too big: expected string to have <=100 characters");
  expect(told(pathIdentifier, "\u{1f600}".repeat(51))).toBe(
    "Too big: expected string to have <=100 characters",
  );
  expect(told(pathIdentifier, "\u{1f600}".repeat(50))).toBeUndefined();
  expect(told(identifier.min(1), "")).toBe("Too small: expected string to have >=1 characters");
});

test("what no path can name is no identifier for a path", () => {
  for (const text of [".", ".."]) {
    expect(pathIdentifier.safeParse(text).error?.issues.map(({ message }) => message)).toEqual([
      NO_PATH_STEP,
    ]);
    expect(new URL(`http://h/v1/machines/${encodeURIComponent(text)}`).pathname).not.toContain(text);
    expect(new URL("http://h/v1/machines/%2E%2e").pathname).toBe("/v1/");
    expect(isIdentifier(text)).toBe(true);
  }
  for (const text of ["...", "a/..", ".a", "%2e%2e"])
    expect(pathIdentifier.safeParse(text).success).toBe(true);
});
