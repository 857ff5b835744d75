// The disk is full, with RPC on. What must be stored is refused in the protocol's own shape; what need not be goes on; a task that ended
// meanwhile is told as soon as there is space; and a call that ran and could not be stored is said to be in doubt, and never run again.

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type RpcAnswer, type RpcClient, rpcClient } from "../support/rpc-document-server.ts";
import { until } from "../support/until.ts";
import { type ServerProcess, startProcess } from "./server-process.ts";
import { smallDisk } from "./small-disk.ts";

const DISK_BYTES = 32 * 1024 * 1024;
const SENTENCE = /^The disk (is full|refused to write): nothing was stored\./;
const { path: disk, small, fill, free, unmount } = smallDisk(DISK_BYTES);
const dataDir = join(disk, "data");

small.describe("on a full disk RPC", () => {
  let server: ServerProcess;
  let client: RpcClient;

  beforeAll(async () => {
    server = await startProcess({
      dataDir,
      env: {
        ROOST_RPC_ENABLED: "true",
        ROOST_RPC_FIXTURES: "true",
        ROOST_LOG_LEVEL: "warn",
      },
    });
    client = rpcClient(server.url);
  }, 30_000);

  afterAll(async () => {
    await server?.end("SIGKILL");
    unmount();
  });

  const keyed = (key: string) => ({ qos: { idempotency_key: key } });
  const submit = (method: string, params: object, more: object = {}) =>
    client.call("TaskService/Submit", { target_method: `rpc.v2/${method}`, params, ...more });
  const query = async (task_id: string) =>
    (await client.call("TaskService/Query", { task_id })).body.result.task;
  const refusal = ({ status, body }: RpcAnswer) => {
    expect([status, body.status, body.error?.code]).toEqual([503, "error", 5002]);
    expect(body.error.message).toMatch(SENTENCE);
  };
  /** More than the log has room for, and within what a stranger may send. */
  const large = () => ({ text: randomBytes(500_000).toString("base64") });

  for (const round of [1, 2]) {
    test(`round ${round}: refuses what must be stored, and everything is right when there is space`, async () => {
      const done = (await submit("EchoService/Echo", { round })).body.result.task_id;
      await until("it is done", async () => (await query(done)).status === "succeeded");
      const counted = await client.call("CounterService/Increment", { key: "a" }, keyed(`count-${round}`));
      expect(counted.body.result).toEqual({ count: round });
      const runs = (await submit("DemoService/Sleep", { ms: 1_500 })).body.result.task_id;
      const slow = client.call("DemoService/SleepOnce", { ms: 1_500 }, keyed(`slow-${round}`));
      await until("both run", async () => (await client.call("DemoService/State")).body.result.running === 2);
      fill();

      refusal(await submit("EchoService/Echo", large()));
      refusal(await client.call("EchoService/Echo", large(), keyed(`large-${round}`)));
      const ready = await fetch(`${server.url}/ready`);
      expect([ready.status, await ready.json()]).toMatchObject([
        503,
        { problems: { rpc: expect.stringMatching(SENTENCE) } },
      ]);
      // Calls that leave nothing behind, questions, and answers that are there.
      expect((await client.call("EchoService/Echo", { a: 1 })).status).toBe(200);
      expect(await query(done)).toMatchObject({ status: "succeeded", result: { round } });
      const replay = await client.call("CounterService/Increment", { key: "a" }, keyed(`count-${round}`));
      expect([replay.body.result, replay.body.metadata.headers["idempotent-replay"]]).toEqual([
        { count: round },
        "true",
      ]);
      // Whether its end found a place in the log is chance; that it is told honestly is not.
      const ended = await slow;
      const wasStored = ended.status === 200;
      if (!wasStored) refusal(ended);
      const again = async () => {
        const began = performance.now();
        const { status, body } = await client.call(
          "DemoService/SleepOnce",
          { ms: 1_500 },
          keyed(`slow-${round}`),
        );
        expect(performance.now() - began).toBeLessThan(1_400);
        return [status, body.error?.details[0].reason];
      };
      const told = wasStored ? [200, undefined] : [409, "outcome_unknown"];
      expect(await again()).toEqual(told);
      const state = (await client.call("DemoService/State")).body.result;
      expect(state.running).toBe(0);

      free();
      await until("the disk is believed", async () => (await fetch(`${server.url}/ready`)).status === 200);
      const task = await until("its end is stored", async () => {
        const found = await query(runs);
        return found.status === "succeeded" ? found : undefined;
      });
      expect(task).toMatchObject({ attempt: 1, result: { slept: 1_500 } });
      expect(await again()).toEqual(told);
      expect((await submit("EchoService/Echo", { text: "x" })).status).toBe(200);
      const echoed = await client.call("EchoService/Echo", { a: 2 }, keyed(`large-${round}`));
      expect(echoed.body.result).toEqual({ a: 2 });
    }, 60_000);
  }

  test("it stops cleanly afterwards, with a sound database and its sums right", async () => {
    expect(await server.end("SIGTERM")).toBe(0);
    using sqlite = new Database(join(dataDir, "rpc.db"), { readwrite: true });
    expect(sqlite.query("PRAGMA integrity_check").values().flat()).toEqual(["ok"]);
    const count = (sql: string) => sqlite.query(sql).values().flat();
    expect(count("SELECT sum(tasks), sum(bytes) FROM rpc_task_sums")).toEqual(
      count("SELECT count(*), sum(bytes) FROM rpc_tasks"),
    );
    expect(count("SELECT entries, bytes FROM rpc_call_sums")).toEqual(
      count("SELECT count(*), sum(bytes) FROM rpc_calls"),
    );
    expect(
      count("SELECT count(*) FROM rpc_task_params WHERE seq NOT IN (SELECT seq FROM rpc_tasks)"),
    ).toEqual([0]);
    expect(server.output.stderr).toBe("");
    const said = new Set(server.logged(50).map(({ msg }) => msg));
    const known = [
      "the disk refused a transaction; its operations were undone",
      "the server is not ready",
      "rpc call",
      "the audit cannot be written; it waits, and what is too much for that is dropped",
    ];
    expect(
      [...said].filter((msg) => !msg.startsWith("the database does not take writes") && !known.includes(msg)),
    ).toEqual([]);
  }, 30_000);
});
