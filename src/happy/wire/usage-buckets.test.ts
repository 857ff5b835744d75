// Hours and days are those of the process's time zone, and every numeric amount is summed under its name.
import { afterEach, expect, test } from "bun:test";
import type { StoredReport } from "../store/usage.ts";
import { usageBuckets } from "./usage-buckets.ts";

const zone = process.env.TZ;
afterEach(() => {
  process.env.TZ = zone ?? "Etc/UTC";
});

const report = (at: string, tokens: unknown, cost: unknown = {}): StoredReport => ({
  createdAt: Date.parse(at),
  data: JSON.stringify({ tokens, cost }),
});
const starts = (reports: StoredReport[], by: "hour" | "day") =>
  usageBuckets(reports, by).map(({ timestamp, reportCount }) => [
    new Date(timestamp * 1000).toISOString(),
    reportCount,
  ]);

test("amounts add up by name; what is no number does not count", () => {
  const reports = [
    report("2026-03-01T10:00:00Z", { total: 5, input: 2, model: "x" }, { total: 0.5 }),
    report(
      "2026-03-01T10:59:59.999Z",
      { total: 7, output: 1, nested: { a: 1 } },
      { total: 0.25, input: null },
    ),
  ];
  expect(usageBuckets(reports, "hour")).toEqual([
    {
      timestamp: Date.parse("2026-03-01T10:00:00Z") / 1000,
      tokens: { total: 12, input: 2, output: 1 },
      cost: { total: 0.75 },
      reportCount: 2,
    },
  ]);
});

test("numbers beyond the range, which older versions stored, count nothing, and no sum leaves it", () => {
  const reports = ["1e308", "1e308", "-1e308", "1e999", "5"].map((total) => ({
    createdAt: 0,
    data: `{"tokens":{"total":${total}},"cost":{"total":${total}}}`,
  }));
  const [bucket] = usageBuckets(reports, "day");
  expect(bucket).toMatchObject({ tokens: { total: 5 }, cost: { total: 5 }, reportCount: 5 });
});

test("a report whose time is no date is in no bucket", () => {
  expect(usageBuckets([{ createdAt: 9e15, data: '{"tokens":{"total":1}}' }], "day")).toEqual([]);
});

test("a name that objects know already is a name like any other", () => {
  const data = '{"tokens":{"total":1,"__proto__":3,"constructor":2},"cost":{"total":0}}';
  const [bucket] = usageBuckets([{ createdAt: 0, data }], "day");
  expect(Object.getPrototypeOf(bucket?.tokens)).toBe(Object.prototype);
  expect(bucket?.tokens).toMatchObject({ total: 1, constructor: 2 });
});

test("an imported report without a part counts as a report", () => {
  expect(usageBuckets([{ createdAt: 0, data: '{"tokens":{"total":1}}' }], "day")).toEqual([
    { timestamp: 0, tokens: { total: 1 }, cost: {}, reportCount: 1 },
  ]);
});

test("buckets come in ascending order whatever the order of the reports, without empty ones", () => {
  const reports = ["2026-03-05T01:00:00Z", "2026-03-01T23:00:00Z", "2026-03-05T00:00:00Z"].map((at) =>
    report(at, {}),
  );
  expect(starts(reports, "day")).toEqual([
    ["2026-03-01T00:00:00.000Z", 1],
    ["2026-03-05T00:00:00.000Z", 2],
  ]);
});

test.each([
  ["Asia/Kolkata", "hour", "2026-03-01T10:29:59Z", "2026-03-01T09:30:00.000Z"],
  ["Asia/Kolkata", "hour", "2026-03-01T10:30:00Z", "2026-03-01T10:30:00.000Z"],
  ["Asia/Kolkata", "day", "2026-03-01T18:29:59Z", "2026-02-28T18:30:00.000Z"],
  ["America/New_York", "day", "2026-03-02T03:00:00Z", "2026-03-01T05:00:00.000Z"],
  // The day the clocks go forward has 23 hours.
  ["America/New_York", "day", "2026-03-09T03:59:59Z", "2026-03-08T05:00:00.000Z"],
  ["America/New_York", "day", "2026-03-09T04:00:00Z", "2026-03-09T04:00:00.000Z"],
] as const)("in %s the %s of %s starts at %s", (tz, by, at, start) => {
  process.env.TZ = tz;
  expect(starts([report(at, {})], by)).toEqual([[start, 1]]);
});
