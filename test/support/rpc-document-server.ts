// A whole server with the RPC room, its fixtures and a document of the test's own, in a folder that outlives a restart; and calls of it.
import { startServer } from "../../src/context.ts";
import { createLog } from "../../src/observability/log.ts";
import type { Config } from "./config.ts";
import { type Json, rpcHome } from "./rpc-server.ts";

export type { Json };

export interface RpcAnswer {
  readonly status: number;
  readonly body: Json;
}

export interface RpcClient {
  /** A call of `rpc.v2/<method>`; `more` is the rest of the envelope. */
  call(method: string, data?: unknown, more?: Record<string, unknown>): Promise<RpcAnswer>;
  /** The frames of a stream, as they come; a refusal is one answer. */
  stream(method: string, data?: unknown, signal?: AbortSignal): AsyncGenerator<Json>;
}

export interface RpcServer extends RpcClient {
  readonly url: string;
  restart(): Promise<void>;
  /** The document that counts from the next request on. */
  change(document: Record<string, unknown>): void;
  stop(): Promise<void>;
}

export function rpcClient(url: string): RpcClient {
  const base = `${url}/aduib_rpc/v2`;
  const post = (path: string, method: string, data: unknown, more = {}, signal?: AbortSignal) =>
    fetch(`${base}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: crypto.randomUUID(), method: `rpc.v2/${method}`, data, ...more }),
      ...(signal !== undefined && { signal }),
    });
  return {
    call: async (method, data = {}, more) => {
      const answer = await post("/rpc", method, data, more);
      return { status: answer.status, body: await answer.json() };
    },
    stream: async function* (method, data = {}, signal) {
      const answer = await post("/rpc/stream", method, data, {}, signal);
      if (answer.headers.get("content-type")?.startsWith("text/event-stream") !== true) {
        yield { status: answer.status, body: await answer.json() };
        return;
      }
      let text = "";
      for await (const part of (answer.body as ReadableStream<Uint8Array>).pipeThrough(
        new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>,
      )) {
        text += part;
        for (let at = text.indexOf("\n\n"); at >= 0; at = text.indexOf("\n\n")) {
          const line = text
            .slice(0, at)
            .split("\n")
            .find((one) => one.startsWith("data: "));
          text = text.slice(at + 2);
          if (line !== undefined) yield JSON.parse(line.slice(6));
        }
      }
    },
  };
}

export async function rpcServer(
  document: Record<string, unknown> = {},
  overrides: Partial<Config> = {},
): Promise<RpcServer> {
  const { config, protocols, change, remove } = rpcHome(document, overrides);
  const log = createLog(process.env.ROOST_TEST_LOG ?? "fatal");
  let server = await startServer(config, log, protocols);
  const { port } = server;
  const url = `http://127.0.0.1:${port}`;
  return {
    ...rpcClient(url),
    url,
    restart: async () => {
      await server.stop();
      server = await startServer({ ...config, port }, log, protocols);
    },
    change,
    stop: async () => {
      await server.stop();
      remove();
    },
  };
}
