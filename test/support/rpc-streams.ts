// What tests of RPC's streams share: a whole server, rooms that stand alone behind the same door where a test wants methods of its own or looks
// at what is inside, and clients; all of it ends with the test, or the file, that opened it.
import { afterAll, afterEach, beforeAll } from "bun:test";
import { type RpcRoom, type RpcRoomOptions, rpcRoom } from "./rpc-room.ts";
import { stopServers } from "./rpc-server.ts";
import { RpcStreamClient } from "./rpc-stream-client.ts";
import { type TestServer, testServer } from "./server.ts";

/** For one file: called at its top. */
export function rpcStreams() {
  let server: TestServer | undefined;
  const cleanup: (() => unknown)[] = [];
  beforeAll(async () => {
    server = await testServer({ rpcEnabled: true, rpcFixtures: true, metricsToken: "figures" });
  });
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });
  afterAll(async () => {
    await server?.stop();
    await stopServers();
  });
  const url = () => server?.url ?? "";
  const post = (path: string, body: object | string, headers: Record<string, string> = {}) =>
    fetch(`${url()}/aduib_rpc/v2${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  return {
    /** Of the whole server, once tests run. */
    url,
    post,
    /** Runs after the test, the last one first. */
    cleanUp: (step: () => unknown) => void cleanup.push(step),
    room: async (options: RpcRoomOptions = {}): Promise<RpcRoom> => {
      const one = await rpcRoom(options);
      cleanup.push(() => one.stop());
      return one;
    },
    open: async (
      at: string,
      body: object | undefined,
      headers?: Record<string, string>,
      path?: string,
    ): Promise<RpcStreamClient> => {
      const client = await RpcStreamClient.open(at, body, headers, path);
      cleanup.push(() => client.leave());
      return client;
    },
    /** What the fixtures' handlers heard. */
    state: async () => {
      const answer = await post("/rpc", { id: "s", method: "rpc.v2/DemoService/State" });
      return ((await answer.json()) as { result: { aborts: number; running: number } }).result;
    },
    figures: async () => {
      const page = await fetch(`${url()}/metrics`, { headers: { authorization: "Bearer figures" } });
      return page.text();
    },
  };
}
