// Messages that were too large are counted for each session, and the doctor reads the count whatever the database is.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { openTestStore, type TestStore } from "../../../test/support/happy-store.ts";
import { migrations } from "./migrations.ts";
import { refusedSince, rememberRefused } from "./refused-messages.ts";

let all: TestStore | undefined;
afterEach(() => all?.close());

test("refusals of a session add up, the largest stays, and what is too long ago does not count", async () => {
  all = openTestStore();
  const { database, path } = all;
  const me = await all.account("AA");
  for (const tag of ["one", "two"]) await all.session(me, tag);
  expect(refusedSince(path, 0)).toEqual({ sessions: 0, count: 0, largestBytes: 0 });
  await database.writer.run((db) => {
    rememberRefused(db, 1, [{ bytes: 10 }, { bytes: 30 }], 100);
    rememberRefused(db, 1, [{ bytes: 20 }], 200);
    rememberRefused(db, 2, [{ bytes: 5 }], 50);
  });
  expect(refusedSince(path, 0)).toEqual({ sessions: 2, count: 4, largestBytes: 30 });
  expect(refusedSince(path, 200)).toEqual({ sessions: 1, count: 3, largestBytes: 30 });
  expect(refusedSince(path, 201)).toEqual({ sessions: 0, count: 0, largestBytes: 0 });
});

test("a database of an older version has none, and is left as it is", async () => {
  all = openTestStore();
  const path = `${all.path}-old`;
  const old = new Sqlite(path, { strict: true });
  for (const { up } of migrations.slice(0, 4)) old.run(up);
  old.close();
  expect(refusedSince(path, 0)).toEqual({ sessions: 0, count: 0, largestBytes: 0 });
  expect(() => refusedSince(`${path}-none`, 0)).toThrow();
});
