// The engine starts a timer for each probe of a transport upgrade and stops only the last; anybody could make the server run
// thousands of them for ever, without a token. The second probe of a socket ends it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type TestServer, testServer } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

async function upgrading(): Promise<{ socket: WebSocket; heard: string[]; closed: Promise<number> }> {
  const handshake = await (await fetch(`${server.url}/v1/updates/?EIO=4&transport=polling`)).text();
  const { sid } = JSON.parse(handshake.slice(1));
  const url = `${server.url.replace("http", "ws")}/v1/updates/?EIO=4&transport=websocket&sid=${sid}`;
  const socket = new WebSocket(url);
  const heard: string[] = [];
  const closed = new Promise<number>((resolve) => {
    socket.onclose = ({ code }) => resolve(code);
  });
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  socket.onmessage = ({ data }) => heard.push(String(data));
  return { socket, heard, closed };
}

test("one probe is answered, a second one ends the socket", async () => {
  const { socket, heard, closed } = await upgrading();
  socket.send("2probe");
  socket.send("2probe");
  expect(await closed).toBe(1006);
  expect(heard).toEqual(["3probe"]);
});

test("an honest upgrade goes through", async () => {
  const { socket, heard } = await upgrading();
  socket.send("2probe");
  socket.send("5");
  socket.send('40{"token":"none"}');
  const deadline = Date.now() + 5_000;
  while (!heard.some((frame) => frame.startsWith("44")) && Date.now() < deadline) await Bun.sleep(5);
  expect(heard.at(-1)).toBe('44{"message":"Invalid authentication token"}');
  socket.close();
});
