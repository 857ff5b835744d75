// Handshakes that nobody finishes: sessions and sockets that are not let in are few, the oldest goes first, and honest clients come
// through, from another address and from the attacker's own.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AttackedServer, attackedServer } from "../../support/attacked-server.ts";
import { rounds } from "../../support/full.ts";
import { newAccount } from "../../support/happy-client.ts";
import { frame, RawConnection } from "../raw-connection.ts";

const HANDSHAKES = rounds(4_000, 30_000);
const PER_ADDRESS = 20;
const CONNECTIONS = 50;
const POLLING = "/v1/updates/?EIO=4&transport=polling";
const WEBSOCKET = "/v1/updates/?EIO=4&transport=websocket";
const BOUND_MS = 15_000;

let server: AttackedServer;
beforeAll(async () => {
  server = await attackedServer();
}, 30_000);
afterAll(() => server.stop());

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

/** One request on an open connection. @returns its whole answer. */
async function ask(connection: RawConnection, request: string): Promise<string> {
  const before = connection.received.length;
  connection.write(request);
  const whole = (text: string) => {
    const answer = text.slice(before);
    const length = /content-length: (\d+)/i.exec(answer)?.[1];
    const head = answer.indexOf("\r\n\r\n");
    return head >= 0 && answer.length >= head + 4 + Number(length ?? 0);
  };
  await connection.until(whole, BOUND_MS);
  return connection.received.slice(before);
}

const sidOf = (answer: string) => /"sid":"([^"]+)"/.exec(answer)?.[1];

test("of one stranger's sessions the newest 20 live, and the oldest went first", async () => {
  const sids: string[] = [];
  for (let index = 0; index < PER_ADDRESS + 5; index++) {
    const connection = await RawConnection.open(server.port, "127.0.2.1");
    const sid = sidOf(await ask(connection, get(POLLING)));
    if (sid !== undefined) sids.push(sid);
    connection.destroy();
  }
  expect(sids).toHaveLength(PER_ADDRESS + 5);
  const known: boolean[] = [];
  for (const sid of sids) {
    const connection = await RawConnection.open(server.port, "127.0.2.1");
    const post = `POST ${POLLING}&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n3`;
    known.push((await ask(connection, post)).startsWith("HTTP/1.1 200"));
    connection.destroy();
  }
  expect(known).toEqual(sids.map((_, index) => index >= 5));
}, 60_000);

test("WebSockets before CONNECT alike", async () => {
  const sockets: RawConnection[] = [];
  for (let index = 0; index < PER_ADDRESS + 5; index++)
    sockets.push(await RawConnection.webSocket(server.port, WEBSOCKET, "127.0.2.2"));
  await sockets[4]?.until(() => sockets[4]?.closed === true, BOUND_MS);
  expect(sockets.map(({ closed }) => closed)).toEqual(sockets.map((_, index) => index < 5));
  for (const socket of sockets) socket.destroy();
}, 60_000);

test("a namespace that asks for no token lets nobody in", async () => {
  const sockets: RawConnection[] = [];
  for (let index = 0; index < PER_ADDRESS + 5; index++) {
    const socket = await RawConnection.webSocket(server.port, WEBSOCKET, "127.0.2.3");
    socket.write(frame("40/doctor,"));
    await socket.until((received) => received.includes("/doctor,"), BOUND_MS);
    sockets.push(socket);
  }
  const doctors = sockets.filter(({ received }) => received.includes('40/doctor,{"sid"'));
  expect(doctors).toHaveLength(8);
  expect(sockets.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(PER_ADDRESS);
  for (const socket of sockets) socket.destroy();
}, 60_000);

test("the places of the doctor cannot be overrun by sockets that come at the same time", async () => {
  const sockets = await Promise.all(
    Array.from({ length: PER_ADDRESS }, () => RawConnection.webSocket(server.port, WEBSOCKET, "127.0.2.4")),
  );
  for (const socket of sockets) socket.write(frame("40/doctor,"));
  await Promise.all(
    sockets.map((socket) => socket.until((received) => received.includes("/doctor,"), BOUND_MS)),
  );
  expect(sockets.filter(({ received }) => received.includes('40/doctor,{"sid"'))).toHaveLength(8);
  for (const socket of sockets) socket.destroy();
});

test(`${HANDSHAKES} polling handshakes from one address`, async () => {
  let answered = 0;
  const before = await server.metric("roost_handshakes");
  const verdict = await server.during("polling handshakes", async () => {
    const attack = Array.from({ length: CONNECTIONS }, async () => {
      for (let index = 0; index < HANDSHAKES / CONNECTIONS; index++) {
        const connection = await RawConnection.open(server.port, "127.0.2.5").catch(() => undefined);
        // Given up at once: the server is not waited for.
        connection?.write(get(POLLING));
        void connection
          ?.until((received) => received.length > 0, BOUND_MS)
          .then(
            () => answered++,
            () => {},
          );
        await Bun.sleep(1);
        setTimeout(() => connection?.destroy(), 200);
      }
    });
    // Somebody else signs in and connects meanwhile, and so does an account from the attacker's own network.
    const account = await newAccount(server.url);
    const phone = await account.connect();
    await phone.settled();
    phone.close();
    await Promise.all(attack);
  });
  expect(await server.metric("roost_handshakes")).toBeLessThanOrEqual(before + PER_ADDRESS);
  expect(verdict.grownMib).toBeLessThan(80);
  expect(verdict.slowestMs).toBeLessThan(2_000);
  console.error(`polling handshakes: ${answered} answered`);
}, 120_000);

test("an account behind the address of an attacker comes in, and its address is known from then on", async () => {
  const places = await Promise.all(
    Array.from({ length: PER_ADDRESS }, () => RawConnection.webSocket(server.port, WEBSOCKET, "127.0.2.6")),
  );
  const account = await newAccount(server.url);
  // It waits for the oldest to have had its time.
  const socket = await RawConnection.webSocket(server.port, WEBSOCKET, "127.0.2.6");
  socket.write(frame(`40{"token":"${account.token}"}`));
  expect(await socket.until((received) => received.includes('40{"sid"'), BOUND_MS)).toBe(true);
  // Now its address is known: the next need not wait.
  const startedAt = performance.now();
  const next = await RawConnection.webSocket(server.port, WEBSOCKET, "127.0.2.6");
  expect(performance.now() - startedAt).toBeLessThan(900);
  for (const connection of [...places, socket, next]) connection.destroy();
});
