// The audit's file on good and bad days: whole lines, its owner's alone, bounded on disk and in memory, and never in anybody's way.
import { afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import type { AuditEvent } from "./audit.ts";
import { AuditFile, type AuditFileParts } from "./audit-file.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

function opened(more: Partial<AuditFileParts> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "roost-audit-"));
  cleanup.push(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "audit.jsonl");
  const logged: string[] = [];
  const counts = { dropped: 0 };
  const file = new AuditFile({
    path,
    log: createLog("trace", { write: (line) => logged.push(line) }),
    dropped: (events) => {
      counts.dropped += events;
    },
    maxBytes: () => 1_000_000,
    keep: () => 2,
    flushMs: 1,
    retryMs: 5,
    ...more,
  });
  cleanup.push(() => file.close());
  return { file, path, folder, logged, counts };
}

const event = (id: number, more: Record<string, unknown> = {}): AuditEvent => ({
  event_type: "rpc_request",
  level: "info",
  id,
  ...more,
});
const idsIn = (path: string): number[] =>
  existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line).id)
    : [];

test("lines are in their order, and only the owner reads them, also where an earlier file was open to all", async () => {
  const { file, path } = opened();
  writeFileSync(path, `${JSON.stringify({ id: 0 })}\n{"id": 99, "cut`, { mode: 0o644 });
  chmodSync(path, 0o644);
  for (let id = 1; id <= 500; id++) file.write(event(id));
  await file.close();
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines[1]).toBe('{"id": 99, "cut');
  const whole = [lines[0] ?? "", ...lines.slice(2)].map((line) => JSON.parse(line).id);
  expect(whole).toEqual(Array.from({ length: 501 }, (_, id) => id));
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a full file is turned over, and only so many older ones stay", async () => {
  const { file, path } = opened({ maxBytes: () => 2_000 });
  let written = 0;
  for (let round = 0; round < 6; round++) {
    for (let at = 0; at < 50; at++) file.write(event(written++));
    await until("the round to be written", () => idsIn(path).at(-1) === written - 1);
  }
  expect(existsSync(`${path}.1`) && existsSync(`${path}.2`)).toBe(true);
  expect(existsSync(`${path}.3`)).toBe(false);
  const kept = [...idsIn(`${path}.2`), ...idsIn(`${path}.1`), ...idsIn(path)];
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, at) => written - kept.length + at));
  for (const older of [`${path}.1`, `${path}.2`]) expect(statSync(older).mode & 0o777).toBe(0o600);
});

test("a disk that takes nothing is told once; what waits is written when it does", async () => {
  const { file, path, folder, logged, counts } = opened();
  rmSync(folder, { recursive: true });
  file.write(event(1));
  await until("the trouble to be told", () => logged.length === 1);
  file.write(event(2));
  await Bun.sleep(20);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain("ENOENT");
  mkdirSync(folder);
  await until("what waited", () => idsIn(path).length === 2);
  expect(idsIn(path)).toEqual([1, 2]);
  await until("the end of the trouble to be told", () => logged.length === 2);
  expect(counts.dropped).toBe(0);
});

test("what is more than may wait is dropped and counted", async () => {
  const { file, folder, counts } = opened({ retryMs: 60_000 });
  rmSync(folder, { recursive: true });
  for (let id = 0; id < 10_010; id++) file.write(event(id));
  expect(counts.dropped).toBe(10);
  const large = opened({ retryMs: 60_000 });
  rmSync(large.folder, { recursive: true });
  for (let id = 0; id < 20; id++) large.file.write(event(id, { text: "x".repeat(1024 * 1024) }));
  expect(large.counts.dropped).toBeGreaterThan(3);
  await file.close();
  expect(counts.dropped).toBe(10_010);
});

test("a file that somebody moved away is made anew", async () => {
  const { file, path } = opened();
  file.write(event(1));
  await until("the first line", () => idsIn(path).length === 1);
  rmSync(path);
  file.write(event(2));
  await until("the second line", () => idsIn(path)[0] === 2);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});
