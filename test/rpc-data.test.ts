// The RPC room's database in everything that the house does with databases: backed up under load, drilled and restored, pruned, looked at by
// the doctor, held to the storage maximum, and never taken from another program.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { refusedProcess } from "./faults/server-process.ts";
import { nothingLeftBehind } from "./support/left-behind.ts";
import { runRoost } from "./support/process.ts";
import { type RpcClient, rpcClient } from "./support/rpc-document-server.ts";
import { until } from "./support/until.ts";

const BOUND_MS = 120_000;
const RPC = { ROOST_RPC_ENABLED: "true", ROOST_RPC_FIXTURES: "true", ROOST_LOG_LEVEL: "info" };
const { freshFolder, started } = nothingLeftBehind("rpc-data", { env: RPC });

const roost = (words: string[], env: Record<string, string> = {}) =>
  runRoost(words, { cwd: freshFolder(), env: { PATH: process.env.PATH ?? "", ...RPC, ...env } });
const submit = async (client: RpcClient, method: string, params: object, more: object = {}) =>
  client.call("TaskService/Submit", { target_method: `rpc.v2/${method}`, params, ...more });
const task = async (client: RpcClient, task_id: string) =>
  (await client.call("TaskService/Query", { task_id })).body.result?.task;
const increment = (client: RpcClient, key: string) =>
  client.call("CounterService/Increment", { key }, { qos: { idempotency_key: key } });

async function finished(client: RpcClient, n: number): Promise<string> {
  const id: string = (await submit(client, "EchoService/Echo", { n })).body.result.task_id;
  await until("it is over", async () => (await task(client, id)).status === "succeeded");
  return id;
}

test(
  "a backup under load passes its drill, and what is restored from it knows every task and answer of before",
  async () => {
    const [dataDir, home] = [freshFolder(), freshFolder()];
    const server = await started(dataDir);
    const client = rpcClient(server.url);
    const done = await finished(client, 1);
    const at = Date.now() + 3_600_000;
    const later = (await submit(client, "EchoService/Echo", { later: true }, { scheduled_at_ms: at })).body
      .result.task_id;
    expect((await increment(client, "kept")).body.result).toEqual({ count: 1 });
    const instance = { instance_id: "a", service_name: "Pay", host: "127.0.0.1", port: 9, scheme: "thrift" };
    await client.call("DiscoveryService/Register", { instance: { ...instance, ttl_seconds: 3_600 } });

    let isWriting = true;
    const told: string[] = [];
    const load = (async () => {
      for (let n = 0; isWriting; n++)
        told.push((await submit(client, "EchoService/Echo", { n })).body.result.task_id);
    })();
    await until("there is load", () => told.length > 5);
    const before = [...told];
    const archive = join(home, "roost.tar.zst");
    const made = await roost(["backup", archive, "--data-dir", dataDir]);
    const kept = await roost(["backup", "--backup-dir", join(home, "kept"), "--data-dir", dataDir]);
    isWriting = false;
    await load;
    expect([made.code, made.stderr]).toEqual([0, ""]);
    expect([kept.code, kept.stdout]).toEqual([0, expect.stringContaining("was made")]);
    expect(await server.end("SIGTERM")).toBe(0);

    const restored = join(home, "restored");
    const put = await roost(["restore", archive, "--data-dir", restored]);
    expect([put.code, put.stderr]).toEqual([0, ""]);
    const other = rpcClient((await started(restored)).url);
    expect(await task(other, done)).toMatchObject({ status: "succeeded", result: { n: 1 } });
    expect(await task(other, later)).toMatchObject({ status: "scheduled", scheduled_at_ms: at });
    for (const id of before)
      await until("a task of before", async () => (await task(other, id))?.status === "succeeded");
    const again = await increment(other, "kept");
    expect([again.body.result, again.body.metadata.headers["idempotent-replay"]]).toEqual([
      { count: 1 },
      "true",
    ]);
    expect((await other.call("DiscoveryService/List")).body.result.instances).toMatchObject([instance]);
  },
  BOUND_MS,
);

test(
  "prune says whose finished tasks would go and removes those; doctor knows that they go; what waits stays",
  async () => {
    const dataDir = freshFolder();
    const server = await started(dataDir);
    const client = rpcClient(server.url);
    const old = await finished(client, 1);
    const young = await finished(client, 2);
    const later = (await submit(client, "EchoService/Echo", {}, { scheduled_at_ms: Date.now() + 3_600_000 }))
      .body.result.task_id;
    const doctor = await roost(["doctor", "--data-dir", dataDir]);
    expect(doctor.stdout).toContain("What is older than the limits is deleted.");
    await server.end("SIGTERM");
    {
      using sqlite = new Database(join(dataDir, "rpc.db"), { readwrite: true });
      sqlite.run("UPDATE rpc_tasks SET completed_at_ms = completed_at_ms - 7200000 WHERE task_id = ?", [old]);
    }
    const asked = await roost(["prune", "--dry-run", "--data-dir", dataDir]);
    expect([asked.code, asked.stderr]).toEqual([0, ""]);
    expect(asked.stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3))).toContainEqual([
      "finished tasks",
      "default",
      "1",
    ]);
    const pruned = await roost(["prune", "--data-dir", dataDir]);
    expect([pruned.code, pruned.stdout]).toEqual([0, expect.stringContaining("1 finished tasks")]);
    const next = rpcClient((await started(dataDir)).url);
    expect((await next.call("TaskService/Query", { task_id: old })).body.error.code).toBe(4000);
    expect(await task(next, young)).toMatchObject({ status: "succeeded", result: { n: 2 } });
    expect(await task(next, later)).toMatchObject({ status: "scheduled" });
  },
  BOUND_MS,
);

test(
  "a clock that is days ahead removes nothing by its age, and says so",
  async () => {
    const dataDir = freshFolder();
    const server = await started(dataDir);
    const client = rpcClient(server.url);
    const id = await finished(client, 1);
    await increment(client, "kept");
    await server.end("SIGTERM");
    {
      // As seen by a clock that is three days ahead.
      using sqlite = new Database(join(dataDir, "rpc.db"), { readwrite: true });
      sqlite.run("UPDATE rpc_tasks SET completed_at_ms = completed_at_ms - 259200000");
    }
    const known = { rpc: Date.now() - 259_200_000 };
    await Bun.write(join(dataDir, "retention-clock.json"), JSON.stringify(known));
    const refused = await roost(["prune", "--data-dir", dataDir]);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("Nothing is deleted by its age"),
    ]);
    const doctor = await roost(["doctor", "--data-dir", dataDir]);
    expect(doctor.stdout).toMatch(/FAILURE.*retention +Nothing is deleted/);
    const again = await started(dataDir);
    await until("the round", () => again.output.stdout.includes("Nothing is deleted by its age"));
    const next = rpcClient(again.url);
    expect(await task(next, id)).toMatchObject({ status: "succeeded" });
    // Keys go by the time of the process.
    expect((await increment(next, "kept")).body.metadata.headers["idempotent-replay"]).toBe("true");
    const said = await roost(["prune", "--now-is-right", "--data-dir", dataDir]);
    expect([said.code, said.stdout]).toEqual([0, expect.stringContaining("1 finished tasks")]);
  },
  BOUND_MS,
);

test(
  "a file of another program under its name is not taken, and stays as it is",
  async () => {
    const dataDir = freshFolder();
    const path = join(dataDir, "rpc.db");
    {
      using sqlite = new Database(path, { create: true });
      sqlite.run("CREATE TABLE theirs (a)");
    }
    const before = readFileSync(path);
    const refused = await refusedProcess({ dataDir, env: RPC });
    expect([refused.code, refused.stderr]).toEqual([
      1,
      `roost: The file ${path} is not a Roost database. Move it away, or choose another --data-dir.\n`,
    ]);
    expect(readFileSync(path).equals(before)).toBe(true);
  },
  BOUND_MS,
);

test(
  "no document and no audit is under a name of databases: opening one past SQLite would take its locks away",
  async () => {
    const dataDir = freshFolder();
    for (const name of ["rpc.db", "happy.db-wal"]) {
      const path = join(dataDir, name);
      const config = await refusedProcess({ dataDir, env: { ...RPC, ROOST_RPC_CONFIG: path } });
      expect([config.code, config.stderr]).toEqual([
        1,
        expect.stringContaining(`${path} has a name of databases`),
      ]);
      const document = JSON.stringify({ observability: { audit_file: path } });
      const audit = await refusedProcess({ dataDir, env: { ...RPC, ROOST_RPC_DOCUMENT: document } });
      expect([audit.code, audit.stderr]).toEqual([1, expect.stringContaining("is a name of databases")]);
    }
  },
  BOUND_MS,
);

test(
  "the storage maximum refuses new tasks and registrations in words; calls, questions and answers go on",
  async () => {
    const server = await started(freshFolder(), { ROOST_MAX_STORAGE_BYTES: "1000" });
    const client = rpcClient(server.url);
    const refused = await until("the folder was measured", async () => {
      const answer = await submit(client, "EchoService/Echo", {});
      return answer.status === 200 ? undefined : answer;
    });
    expect([refused.status, refused.body.error.code]).toEqual([503, 5002]);
    expect(refused.body.error.message).toStartWith(
      "The server's storage is almost full: nothing new can be made.",
    );
    const instance = { instance_id: "a", service_name: "Pay", host: "127.0.0.1", port: 9, scheme: "thrift" };
    expect((await client.call("DiscoveryService/Register", { instance })).status).toBe(503);
    expect((await increment(client, "a")).body.result).toEqual({ count: 1 });
  },
  BOUND_MS,
);
