// Spans reach a collector in batches; one that is slow, away or wrong costs spans, which are counted, and nothing else.
import { afterEach, expect, test } from "bun:test";
import { type Collector, collector } from "../../../test/support/collector.ts";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { OtlpExporter, type OtlpParts } from "./otlp-exporter.ts";
import type { Span } from "./span.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

function exporting(more: Partial<OtlpParts> = {}) {
  const to: Collector = collector();
  cleanup.push(() => to.stop());
  const logged: string[] = [];
  const counts = { dropped: 0 };
  const exporter = new OtlpExporter({
    endpoint: `${to.url}/`,
    headers: { authorization: "s3cret-of-the-collector" },
    resource: () => ({ name: "roost", version: "1", instance: "i" }),
    dropped: (spans) => {
      counts.dropped += spans;
    },
    log: createLog("trace", { write: (line) => logged.push(line) }),
    ...more,
    times: { batchMs: 20, answerMs: 300, firstBackoffMs: 10, lastBackoffMs: 40, ...more.times },
  });
  cleanup.push(() => exporter.close());
  return { to, exporter, logged, counts };
}

const span = (at: number): Span => ({
  traceId: "1".repeat(32),
  spanId: String(at).padStart(16, "0"),
  name: `s${at}`,
  kind: 2,
});
const add = (exporter: OtlpExporter, count: number, from = 0) => {
  for (let at = from; at < from + count; at++) exporter.add(span(at));
};

test("a batch goes when it is full, or old enough, in the order of the calls", async () => {
  const { to, exporter, counts } = exporting({ times: { batchMs: 400 } });
  add(exporter, 1_200);
  await until("the full batches", () => to.batches.length === 2);
  await until("the rest", () => to.spans.length === 1_200);
  expect(to.batches).toEqual([512, 512, 176]);
  expect(to.spans.map(({ name }) => name)).toEqual(Array.from({ length: 1_200 }, (_, at) => `s${at}`));
  expect(to.headers[0]?.get("authorization")).toBe("s3cret-of-the-collector");
  expect(counts.dropped).toBe(0);
});

test("while the collector is away spans wait, up to a bound; what it missed it gets, once", async () => {
  const { to, exporter, logged, counts } = exporting({ times: { firstBackoffMs: 200, lastBackoffMs: 200 } });
  to.behave("503");
  add(exporter, 2_100);
  expect(counts.dropped).toBe(2_100 - 2_048);
  await until("it to be asked again", () => to.asked >= 2);
  to.behave("well");
  await until("what waited", () => to.spans.length === 2_048);
  expect(new Set(to.spans.map(({ name }) => name)).size).toBe(2_048);
  add(exporter, 1, 5_000);
  await until("what came later", () => to.spans.length === 2_049);
  expect(logged.filter((line) => line.includes("cannot be sent"))).toHaveLength(1);
  expect(logged.filter((line) => line.includes("are collected again"))).toHaveLength(1);
});

test.each([
  ["400", 1],
  ["talkative", 1],
  ["503", 6],
  ["silent", 6],
] as const)("a collector that is %s does not get a batch more than %d times", async (how, tries) => {
  const { to, exporter, logged, counts } = exporting({ times: { answerMs: 30 } });
  to.behave(how);
  add(exporter, 3);
  await until("the batch to be given up", () => counts.dropped === 3);
  expect(to.asked).toBe(tries);
  to.behave("well");
  add(exporter, 1, 7);
  await until("the next one", () => to.spans.length === 1);
  expect(to.spans[0]?.name).toBe("s7");
  expect(logged.join("")).not.toContain("s3cret");
  expect(logged.join("")).not.toContain("secret of the collector");
});

test("at a stop what waits is sent, and a collector that does not answer holds up nobody for long", async () => {
  const { to, exporter, counts } = exporting({ times: { batchMs: 60_000 } });
  add(exporter, 600);
  await exporter.close();
  expect(to.spans).toHaveLength(600);
  const silent = exporting({ times: { batchMs: 60_000, answerMs: 60_000 } });
  silent.to.behave("silent");
  add(silent.exporter, 5);
  const began = performance.now();
  await silent.exporter.close();
  expect(performance.now() - began).toBeLessThan(10_000);
  expect([counts.dropped, silent.counts.dropped]).toEqual([0, 5]);
  silent.exporter.add(span(1));
  expect(silent.counts.dropped).toBe(6);
});
