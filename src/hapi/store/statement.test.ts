// What a statement's text becomes: its values as they were bound, behind what the planner does not look past.
import { expect, test } from "bun:test";
import { openTestHapiStore } from "../../../test/support/hapi-store.ts";
import { statement, unseen } from "./statement.ts";

test("every value stands behind a plus sign, and a path into JSON is left alone", () => {
  expect(unseen("SELECT '$.a' WHERE id = $id AND at<=$at LIMIT $limit")).toBe(
    "SELECT '$.a' WHERE id = +$id AND at<=+$at LIMIT +$limit",
  );
});

test("values keep their types, and a value finds the rows that it found before", async () => {
  const hapi = openTestHapiStore();
  try {
    const given = { text: "7", whole: 7, real: 1.5, none: null, bytes: new Uint8Array([1, 2]) };
    const names = Object.keys(given);
    const types = statement<Record<string, string>>(
      `SELECT ${names.map((name) => `typeof($${name}) AS ${name}`).join(", ")}`,
    );
    expect(types(hapi.database.reads).get(given)).toEqual({
      text: "text",
      whole: "integer",
      real: "real",
      none: "null",
      bytes: "blob",
    });
    const id = await hapi.session("7");
    const tagged = statement<{ id: string }>("SELECT id FROM sessions WHERE tag = $tag");
    expect(tagged(hapi.database.reads).all({ tag: "7" })).toEqual([{ id }]);
    // A number finds a text as a column of text compares it.
    expect(tagged(hapi.database.reads).all({ tag: 7 })).toEqual([{ id }]);
  } finally {
    await hapi.close();
  }
});
