// What does not come is waited for so long and no longer. These tests wait for that, all of them at once, on one server.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type AttackedServer, attackedServer } from "../../support/attacked-server.ts";
import { newAccount } from "../../support/happy-client.ts";
import { frame, RawConnection } from "../raw-connection.ts";

setDefaultTimeout(60_000);
const POLLING = "/v1/updates/?EIO=4&transport=polling";
const BOUND_MS = 30_000;
const ANSWER_MS = 10_000;
/** A stalled body is given up after ten seconds. */
const STALLED_MS = 15_000;

let server: AttackedServer;
beforeAll(async () => {
  server = await attackedServer();
});
afterAll(() => server.stop());

/** A request that promises more than it sends. */
async function stalled(path: string, bytes: number, promised: number, from?: string): Promise<RawConnection> {
  const connection = await RawConnection.open(server.port, from);
  connection.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${promised}\r\n\r\n`,
  );
  await connection.writeAll(Buffer.alloc(bytes, " "));
  return connection;
}

test.concurrent("a stranger's body that does not come is answered and its connection ends", async () => {
  const connections = await Promise.all(
    [2, 3, 4, 5].map((n) => stalled("/v1/auth", 16_383, 16_384, `127.0.0.${n}`)),
  );
  await Promise.all(connections.map((one) => one.until(() => one.closed, BOUND_MS)));
  expect(connections.map(({ received, closed }) => [received.slice(0, 12), closed])).toEqual(
    Array(4).fill(["HTTP/1.1 408", true]),
  );
});

test.concurrent("a stranger's stalled small body of long polling is given up", async () => {
  const handshake = await (await fetch(`${server.url}${POLLING}`)).text();
  const { sid } = JSON.parse(handshake.slice(1));
  const connection = await stalled(`${POLLING}&sid=${sid}`, 1_000, 2_000);
  const startedAt = performance.now();
  await connection.until((received) => received.includes("\r\n\r\n"), BOUND_MS);
  expect(connection.received).toStartWith("HTTP/1.1 408");
  expect(performance.now() - startedAt).toBeLessThan(STALLED_MS);
  connection.destroy();
});

test.concurrent("leaving and entering again on one connection is permitted; whoever only leaves has to go", async () => {
  const { token } = await newAccount(server.url);
  const connection = await RawConnection.webSocket(server.port);
  const connect = frame(`40/i/a,{"token":"${token}"}`);
  for (let round = 1; round <= 3; round++) {
    connection.write(connect);
    await connection.until((received) => received.split('40/i/a,{"sid"').length - 1 === round, ANSWER_MS);
    const answered = connection.received.split("43/i/a,7[{}]").length;
    connection.write(frame('42/i/a,7["ping"]'));
    await connection.until((received) => received.split("43/i/a,7[{}]").length > answered, ANSWER_MS);
    connection.write(frame("41/i/a,"));
    // The next turn of the server: it takes leave after what it has been sent before.
    await server.phone.settled();
  }
  expect(connection.closed).toBe(false);
  await connection.until(() => connection.closed, BOUND_MS);
  expect(connection.closed).toBe(true);
  connection.destroy();
});
