// Bodies of long polling that begin and never end: of strangers next to nothing is taken, of nobody two at a time, and none for long.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AttackedServer, attackedServer } from "../../support/attacked-server.ts";
import { newAccount } from "../../support/happy-client.ts";
import { RawConnection } from "../raw-connection.ts";

const BODIES = 500;
const POLLING = "/v1/updates/?EIO=4&transport=polling";
const BOUND_MS = 20_000;

let server: AttackedServer;
beforeAll(async () => {
  server = await attackedServer();
}, 30_000);
afterAll(() => server.stop());

const session = async () => {
  const handshake = await (await fetch(`${server.url}${POLLING}`)).text();
  return JSON.parse(handshake.slice(1)).sid as string;
};

/** Promises a megabyte and sends `bytes` of it. */
async function stall(sid: string, bytes: number, from?: string): Promise<RawConnection> {
  const connection = await RawConnection.open(server.port, from);
  connection.write(`POST ${POLLING}&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`);
  await connection.writeAll(Buffer.alloc(bytes, "x"));
  return connection;
}

const answered = (connection: RawConnection) =>
  connection.until((received) => received.includes("\r\n\r\n"), BOUND_MS);

test(`${BODIES} stalled bodies of strangers hold no memory`, async () => {
  const connections: RawConnection[] = [];
  const verdict = await server.during("stalled polling bodies", async () => {
    const sids = await Promise.all(Array.from({ length: 10 }, session));
    for (let index = 0; index < BODIES; index++)
      connections.push(await stall(sids[index % sids.length] ?? "", 380_000, `127.0.3.${1 + (index % 10)}`));
    await Promise.all(connections.map((connection) => answered(connection)));
  });
  expect(verdict.grownMib).toBeLessThan(60);
  expect(verdict.slowestMs).toBeLessThan(1_000);
  expect(new Set(connections.map(({ received }) => received.slice(0, 12)))).toEqual(
    new Set(["HTTP/1.1 413", "HTTP/1.1 400"]),
  );
  for (const connection of connections) connection.destroy();
}, 60_000);

test("of a session that was let in one body is read at a time, and counts as memory while it is", async () => {
  const account = await newAccount(server.url);
  const sid = await session();
  await fetch(`${server.url}${POLLING}&sid=${sid}`, {
    method: "POST",
    body: `40{"token":"${account.token}"}`,
  });
  expect(await (await fetch(`${server.url}${POLLING}&sid=${sid}`)).text()).toStartWith('40{"sid"');
  const first = await stall(sid, 380_000);
  const held = () => server.metric('roost_memory_in_flight_bytes{part="unfinished frames"}');
  while ((await held()) < 300_000) await Bun.sleep(10);
  const second = await stall(sid, 380_000);
  await answered(second);
  expect(second.received).toStartWith("HTTP/1.1 400");
  // It is no client of ours that does so: its session is gone, and the first body with it.
  await answered(first);
  while ((await held()) > 0) await Bun.sleep(10);
  for (const connection of [first, second]) connection.destroy();
}, 30_000);

test("a body for a session that is not there is not read", async () => {
  const connection = await stall("unknown", 10);
  const startedAt = performance.now();
  await answered(connection);
  expect(connection.received).toStartWith("HTTP/1.1 400");
  expect(connection.received).toContain('{"code":1,"message":"Session ID unknown"}');
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  connection.destroy();
});

test("a body of very many packets is refused before they are taken apart", async () => {
  const account = await newAccount(server.url);
  const sid = await session();
  const url = `${server.url}${POLLING}&sid=${sid}`;
  await fetch(url, { method: "POST", body: `40{"token":"${account.token}"}` });
  await (await fetch(url)).text();
  const { status } = await fetch(url, { method: "POST", body: "3\x1e".repeat(300_000) });
  expect(status).toBe(413);
});
