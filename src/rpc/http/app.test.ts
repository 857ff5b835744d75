// The path that is called most is found before the app's router: whatever else the router takes for the same path is served all the same,
// and a body that is left unread ends its connection there too.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type RpcRoom, rpcRoom } from "../../../test/support/rpc-room.ts";

let room: RpcRoom;
beforeAll(async () => {
  room = await rpcRoom({ document: { protocol: { max_body_bytes: 1_024 } } });
});
afterAll(() => room.stop());

const ECHO = { id: "i1", method: "rpc.v2/EchoService/Echo", data: { a: 1 } };
const post = (path: string, body: unknown = ECHO, method = "POST") =>
  fetch(`${room.url}${path}`, { method, body: method === "GET" ? null : JSON.stringify(body) });

test.each([
  ["/aduib_rpc/v2/rpc", 200],
  ["/aduib_rpc/v2/rpc?a=/b", 200],
  ["/aduib_rpc/v2/AduibRpcService/Call", 200],
  ["/aduib_rpc/v2/%72pc", 200],
  ["/aduib_rpc/v2/rpc/", 404],
  ["/aduib_rpc/v2//rpc", 404],
  ["/aduib_rpc/v2/Rpc", 404],
])("POST %s: %d", async (path, status) => {
  expect((await post(path)).status).toBe(status);
});

test("another verb is told which one is served", async () => {
  const answer = await post("/aduib_rpc/v2/rpc", undefined, "GET");
  expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
});

test("a body above the limit is left, and its connection ends", async () => {
  const answer = await post("/aduib_rpc/v2/rpc", { ...ECHO, data: { a: "x".repeat(2_000) } });
  expect([answer.status, answer.headers.get("connection")]).toEqual([400, "close"]);
  expect(await answer.json()).toMatchObject({ error: { code: 2004 } });
});
