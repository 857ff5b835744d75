// What the RPC room acknowledges, one row each, for the tests of power loss: in stores.ts with all others.
import { rpcClient } from "../../support/rpc-document-server.ts";
import type { Store } from "./stores.ts";

const DATABASE = "rpc.db";

/** However long the work goes on, nothing goes by its age or for want of room. The audit acknowledges nothing, and stays out of it. */
const DOCUMENT = {
  observability: { audit_file: "-" },
  qos: { idempotency_ttl_s: 86_400, idempotency_max_entries: 100_000 },
  tasks: { ttl_s: 86_400 },
};
export const RPC_STORE_ENV = {
  ROOST_RPC_ENABLED: "true",
  ROOST_RPC_FIXTURES: "true",
  ROOST_RPC_DOCUMENT: JSON.stringify(DOCUMENT),
};

type Called = { readonly url: string };
const far = () => Date.now() + 86_400_000;

async function result({ url }: Called, method: string, data: unknown, more = {}) {
  const { status, body } = await rpcClient(url).call(method, data, more);
  if (status !== 200) throw new Error(`${method} answered ${status} ${JSON.stringify(body.error)}`);
  return body;
}

const echo = (world: Called, mark: string) =>
  result(world, "EchoService/Echo", { said: mark }, { qos: { idempotency_key: mark } });

const submit = (world: Called, mark: string, note: string) =>
  result(world, "TaskService/Submit", {
    target_method: "rpc.v2/EchoService/Echo",
    params: { said: mark },
    scheduled_at_ms: far(),
    idempotency_key: mark,
    metadata: { note: `${note} ${mark}` },
  });

export const RPC_STORES: readonly Store[] = [
  {
    name: "rpc tasks",
    put: async (world, mark) => void (await submit(world, mark, "first")),
    kept: { database: DATABASE, sql: "SELECT params FROM rpc_task_params" },
    read: async (world, mark) => {
      // One that was lost would be made anew, and have another note.
      const { task_id } = (await submit(world, mark, "second")).result;
      const { note } = (await result(world, "TaskService/Query", { task_id })).result.task.metadata;
      return note === `first ${mark}` ? note : "lost";
    },
    peek: (world) => result(world, "SystemService/Tasks", {}),
  },
  {
    name: "rpc results of tasks",
    put: async ({ url }, mark) => {
      // The request has the mark in another spelling, so that what carries it first is the result.
      const data = JSON.stringify({ target_method: "rpc.v2/EchoService/Echo", params: { said: mark } });
      const answer = await fetch(`${url}/aduib_rpc/v2/TaskService/Submit`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: data.replace(mark, `\\u006d${mark.slice(1)}`),
      });
      const { task_id } = (await answer.json()) as { task_id: string };
      for await (const { type, payload } of rpcClient(url).stream("TaskService/Subscribe", { task_id }))
        if (type === "data" && payload.data.event === "completed") return;
      throw new Error("the task did not end");
    },
    kept: { database: DATABASE, sql: "SELECT result FROM rpc_task_results" },
  },
  {
    name: "rpc answers to idempotency keys",
    put: async (world, mark) => void (await echo(world, mark)),
    kept: { database: DATABASE, sql: "SELECT answer FROM rpc_call_answers" },
    read: async (world, mark) => {
      const { metadata, result: said } = await echo(world, mark);
      return metadata.headers["idempotent-replay"] === "true" ? said : "run again";
    },
  },
  {
    name: "rpc registrations of instances",
    put: async (world, mark) => {
      const place = { host: "127.0.0.1", port: 9, scheme: "thrift", ttl_seconds: 86_400 };
      const instance = { instance_id: mark, service_name: "Pay", ...place };
      await result(world, "DiscoveryService/Register", { instance });
    },
    kept: { database: DATABASE, sql: "SELECT instance FROM rpc_instances" },
    read: (world) => result(world, "DiscoveryService/List", {}),
    peek: (world) => result(world, "DiscoveryService/List", {}),
  },
];
