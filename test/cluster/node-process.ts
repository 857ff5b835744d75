// Starts node-program.ts and calls it.
import { resolve } from "node:path";
import { untilTheRunEnds } from "../support/process.ts";

export interface Call {
  readonly number: number;
  readonly operation: "broadcast" | "push" | "count" | "metrics" | "stop";
  readonly client?: string;
  readonly text?: string;
  readonly base64?: string;
}

export interface Reply {
  readonly number: number;
  readonly result?: unknown;
  /** Name of the error. */
  readonly error?: string;
}

export interface NodeProcess {
  readonly url: string;
  readonly pid: number;
  broadcast(payload: string | Uint8Array): Promise<{ local: number; dropped: number; published: boolean }>;
  /** @throws Error whose name is the hub's. */
  push(client: string, payload: string): Promise<void>;
  count(): Promise<number>;
  metrics(): Promise<string>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

const START_BOUND_MS = 20_000;

export async function startNode(env: Readonly<Record<string, string>>): Promise<NodeProcess> {
  const pending = new Map<number, (reply: Reply) => void>();
  const ready = Promise.withResolvers<string>();
  pending.set(0, ({ result }) => ready.resolve(String(result)));
  const child = Bun.spawn([process.execPath, resolve(import.meta.dir, "node-program.ts")], {
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "/", GOHUB_HUB_ENABLED: "true", ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    ipc: (reply: Reply) => {
      pending.get(reply.number)?.(reply);
      pending.delete(reply.number);
    },
  });
  untilTheRunEnds(child);
  void child.exited.then((code) => {
    for (const settle of pending.values()) settle({ number: -1, error: `NodeEnded${code}` });
  });
  const timer = setTimeout(() => ready.reject(new Error("the node did not become ready")), START_BOUND_MS);
  const url = await ready.promise.finally(() => clearTimeout(timer));
  let number = 0;
  const call = (operation: Call["operation"], more: Partial<Call> = {}): Promise<unknown> => {
    const { promise, resolve: done, reject } = Promise.withResolvers<unknown>();
    const message: Call = { number: ++number, operation, ...more };
    pending.set(message.number, ({ result, error }) => {
      if (error === undefined) done(result);
      else reject(Object.assign(new Error(error), { name: error }));
    });
    child.send(message);
    return promise;
  };
  const carried = (payload: string | Uint8Array) =>
    typeof payload === "string" ? { text: payload } : { base64: Buffer.from(payload).toString("base64") };
  return {
    url,
    pid: child.pid,
    broadcast: async (payload) =>
      (await call("broadcast", carried(payload))) as Awaited<ReturnType<NodeProcess["broadcast"]>>,
    push: async (client, payload) => {
      await call("push", { client, ...carried(payload) });
    },
    count: async () => Number(await call("count")),
    metrics: async () => String(await call("metrics")),
    stop: async () => {
      await call("stop");
      child.kill("SIGTERM");
      await child.exited;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
