// A database of an earlier version: what it held counts from then on, and goes back with it.

import { Database as Sqlite } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { migrations } from "./migrations.ts";

const sqlite = new Sqlite(":memory:", { strict: true });
afterAll(() => sqlite.close());
const rows = (text: string) => sqlite.query(text).values();

test("shares count what was there before, and are forgotten without it", () => {
  const [first, instances, shares] = migrations;
  for (const one of [first, instances]) sqlite.run(one?.up ?? "");
  const call = (id: string, isDone: number, bytes: number) =>
    sqlite.run(
      "INSERT INTO rpc_calls (id, hash, run, is_done, bytes, used, stored_at_ms, expires_at_ms) VALUES (?, 'h', 'r', ?, ?, 1, 1, 2)",
      [...[id, isDone, bytes]],
    );
  const taskRow = (id: string, completedAt: number | null, bytes: number) =>
    sqlite.run(
      `INSERT INTO rpc_tasks (task_id, tenant_id, principal, trace, target_method, protocol_version, status, priority, created_at_ms,
         updated_at_ms, ready_at_ms, completed_at_ms, attempt, max_attempts, ttl_ms, metadata, tags, version, bytes)
       VALUES (?, 't', '{}', '{}', 'm', '2.0', ?, 1, 1, 1, 1, ?, 1, 1, 1, '{}', '[]', 1, ?)`,
      [id, completedAt === null ? "pending" : "succeeded", completedAt, bytes],
    );
  call("a", 1, 300);
  call("b", 0, 256);
  taskRow("a", 5, 1_100);
  taskRow("b", null, 1_200);
  sqlite.run(shares?.up ?? "");
  const held = (table: string) => rows(`SELECT holder, entries, bytes, firm, firm_bytes FROM ${table}`);
  expect(held("rpc_call_holders")).toEqual([["anyone", 2, 556, 1, 256]]);
  expect(rows("SELECT firm, firm_bytes FROM rpc_call_sums")).toEqual([[1, 256]]);
  expect(held("rpc_task_holders")).toEqual([["anyone", 2, 2_300, 1, 1_200]]);
  sqlite.run("DELETE FROM rpc_calls WHERE id = 'b'");
  sqlite.run("UPDATE rpc_tasks SET completed_at_ms = 6, status = 'failed' WHERE task_id = 'b'");
  expect(held("rpc_call_holders")).toEqual([["anyone", 1, 300, 0, 0]]);
  expect(held("rpc_task_holders")).toEqual([["anyone", 2, 2_300, 0, 0]]);
  sqlite.run(shares?.down ?? "");
  call("c", 1, 300);
  taskRow("c", 7, 1_000);
  expect(rows("SELECT entries, bytes FROM rpc_call_sums")).toEqual([[2, 600]]);
  expect(rows("SELECT sum(tasks), sum(bytes) FROM rpc_task_sums")).toEqual([[3, 3_300]]);
  sqlite.run(shares?.up ?? "");
  expect(held("rpc_task_holders")).toEqual([["anyone", 3, 3_300, 0, 0]]);
});

test("with nothing in it nobody holds anything", () => {
  const empty = new Sqlite(":memory:");
  for (const { up } of migrations) empty.run(up);
  expect(empty.query("SELECT count(*) FROM rpc_call_holders").values()).toEqual([[0]]);
  expect(empty.query("SELECT count(*) FROM rpc_task_holders").values()).toEqual([[0]]);
  empty.close();
});
