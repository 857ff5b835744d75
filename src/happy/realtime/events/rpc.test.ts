// An answer to a relayed call counts only from the socket that was asked, whoever knows its number.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Listener, newAccount } from "../../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../../test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const ACK = 3;

/** The number under which the next `rpc-request` of this socket is to be acknowledged. */
function nextAckId({ socket }: Listener): Promise<number> {
  return new Promise((resolve) => {
    const look = (packet: { data?: readonly unknown[]; id?: number }) => {
      if (packet.data?.[0] !== "rpc-request" || packet.id === undefined) return;
      socket.io.off("packet" as never, look as never);
      resolve(packet.id);
    };
    socket.io.on("packet" as never, look as never);
  });
}

/** Acknowledges what this socket may never have been asked. */
function acknowledge({ socket }: Listener, id: number, answer: unknown): void {
  (socket as unknown as { packet(packet: unknown): void }).packet({ type: ACK, id, data: [answer] });
}

test("an acknowledgement of another socket is no answer, of the same account or another", async () => {
  const [account, stranger] = [await newAccount(server.url), await newAccount(server.url)];
  const [daemon, app, other] = [await account.connect(), await account.connect(), await account.connect()];
  const foreign = await stranger.connect();
  // The other one had the method before: it may answer what it was asked itself, and nothing else.
  for (const listener of [other, daemon]) {
    listener.socket.emit("rpc-register", { method: "m:secret" });
    await listener.until(({ event }) => event === "rpc-registered");
  }
  const number = nextAckId(daemon);
  const calling = app.ask("rpc-call", { method: "m:secret" });
  const id = await number;
  for (const intruder of [other, foreign, app]) {
    acknowledge(intruder, id, "stolen");
    await intruder.settled();
  }
  acknowledge(daemon, id, "the daemon's");
  expect(await calling).toEqual({ ok: true, result: "the daemon's" });
  for (const listener of [daemon, app, other, foreign]) listener.close();
});
