// No statement of the store walks over all messages, or over all of what agents have used: each of them goes along an index, or is one of the
// few below, which are asked seldom and say so.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTestHapiStore, type TestHapiStore } from "../../../test/support/hapi-store.ts";
import { statementTexts, unseen } from "./statement.ts";

let all: TestHapiStore;
beforeAll(async () => {
  all = openTestHapiStore();
  await all.session("t");
});
afterAll(() => all.close());

/** Tables that grow with every turn of an agent. */
const LONG = ["messages", "usage_events", "events", "event_links", "roost_live", "roost_pushes"];

function walked(text: string): string[] {
  const values = Object.fromEntries([...text.matchAll(/\$(\w+)/g)].map(([, name]) => [name ?? "", 1]));
  const steps = all.database.reads.$client
    .query<{ detail: string }, [Record<string, number>]>(`EXPLAIN QUERY PLAN ${unseen(text)}`)
    .all(values)
    .map(({ detail }) => detail);
  const aliases = new Map<string, string>();
  for (const [, table = "", alias = ""] of text.matchAll(
    /(?:FROM|JOIN|UPDATE(?: OR IGNORE)?)\s+(\w+)(?:\s+(?:AS\s+)?([a-z]\w*))?/g,
  ))
    if (LONG.includes(table)) aliases.set(alias || table, table).set(table, table);
  return steps.flatMap((step) => {
    const [, name = ""] = /^SCAN (\w+)/.exec(step) ?? [];
    const table = aliases.get(name);
    return table === undefined ? [] : [`${step}: ${text.trim().replaceAll(/\s+/g, " ").slice(0, 90)}`];
  });
}

test("every statement was seen", () => {
  expect(statementTexts().length).toBeGreaterThan(140);
  for (const table of LONG) expect(statementTexts().some((text) => text.includes(table))).toBe(true);
});

test("none walks over a table that grows with every turn, but for one of few rows and one that ends after a few", () => {
  expect(statementTexts().flatMap(walked)).toEqual([
    // Has a bound of rows, and each round of the ledger brings it back below that.
    expect.stringContaining("SCAN roost_pushes: DELETE FROM roost_pushes WHERE at < $before"),
    // The newest 200 of each table.
    expect.stringContaining("SCAN messages: SELECT max(at) AS at FROM"),
  ]);
});
