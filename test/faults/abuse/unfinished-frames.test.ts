// A WebSocket frame that is begun and never finished waits in the transport, where no handler sees it. A thousand strangers with such
// frames, and an account's own sockets with large ones, leave the server alive under the unit's memory limit.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AttackedServer, attackedServer } from "../../support/attacked-server.ts";
import { rounds } from "../../support/full.ts";
import { newAccount } from "../../support/happy-client.ts";
import { Network } from "../../support/network.ts";
import { frame, RawConnection } from "../raw-connection.ts";

const FRAME_BYTES = 15 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, "x");
const SOCKETS = rounds(300, 1_000);
const PER_ADDRESS = 20;
const MEMBERS = 64;
const ATTACK_MS = 4_000;

let server: AttackedServer;
beforeAll(async () => {
  server = await attackedServer();
}, 30_000);
afterAll(() => server.stop());

/** Sends a frame without its end, as far as the server reads. Resolves when it is sent, or the connection is gone. */
async function begin(connection: RawConnection, network: Network, until: number): Promise<void> {
  connection.write(frame("", { claims: BigInt(FRAME_BYTES + 1) }));
  for (let sent = 0; sent < FRAME_BYTES && !connection.closed && performance.now() < until; ) {
    sent += CHUNK.byteLength;
    await network.carry(CHUNK.byteLength);
    await connection.writeAll(CHUNK);
  }
}

test(`${SOCKETS} sockets of strangers with unfinished frames of 15 MiB`, async () => {
  const connections: RawConnection[] = [];
  const verdict = await server.during("strangers' unfinished frames", async () => {
    const until = performance.now() + ATTACK_MS;
    const network = new Network();
    await Promise.all(
      Array.from({ length: SOCKETS }, async (_, index) => {
        const from = `127.0.1.${1 + Math.floor(index / PER_ADDRESS)}`;
        const path = "/v1/updates/?EIO=4&transport=websocket";
        const connection = await RawConnection.webSocket(server.port, path, from).catch(() => undefined);
        if (connection === undefined) return;
        connections.push(connection);
        await begin(connection, network, until);
      }),
    );
  });
  expect(connections.length).toBeGreaterThan(SOCKETS / 2);
  expect(verdict.grownMib).toBeLessThan(300);
  expect(verdict.slowestMs).toBeLessThan(3_000);
  expect(await server.metric('roost_bound_refusals_total{bound="anonymous-bytes"}')).toBeGreaterThan(0);
  for (const connection of connections) connection.destroy();
  await server.phone.settled();
}, 60_000);

test(`${MEMBERS} sockets of an account with unfinished frames of 15 MiB keep within the memory for all`, async () => {
  const account = await newAccount(server.url);
  const connections: RawConnection[] = [];
  const verdict = await server.during("members' unfinished frames", async () => {
    const until = performance.now() + ATTACK_MS;
    const network = new Network();
    await Promise.all(
      Array.from({ length: MEMBERS }, async () => {
        const connection = await RawConnection.webSocket(server.port);
        connections.push(connection);
        connection.write(frame(`40{"token":"${account.token}"}`));
        await connection.until((received) => received.includes('40{"sid"'), 10_000);
        await begin(connection, network, until);
      }),
    );
    await Bun.sleep(500);
  });
  expect(verdict.peakMib).toBeLessThan(480);
  expect(connections.some(({ closed }) => closed)).toBe(true);
  expect(connections.some(({ closed }) => !closed)).toBe(true);
  for (const connection of connections) connection.destroy();
  await server.phone.settled();
}, 60_000);

test("a stranger's frame as large as a handshake may be is no attack", async () => {
  const account = await newAccount(server.url);
  const connection = await RawConnection.webSocket(server.port);
  connection.write(frame(`40{"token":"${account.token}","more":"${"x".repeat(90_000)}"}`));
  expect(await connection.until((received) => received.includes('40{"sid"'), 10_000)).toBe(true);
  connection.destroy();
});
