// JSON nested tens of thousands deep, in every kind of packet and on every way in: nothing walks it, so that it costs its sender's packet
// and nobody's time.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AttackedServer, attackedServer } from "../../support/attacked-server.ts";
import { type Account, newAccount } from "../../support/happy-client.ts";
import { frame, RawConnection } from "../raw-connection.ts";

const LEVELS = 50_000;
const POLLING = "/v1/updates/?EIO=4&transport=polling";
const BOUND_MS = 20_000;
const FRAMES = 50;

const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

let server: AttackedServer;
let account: Account;
beforeAll(async () => {
  server = await attackedServer();
  account = await newAccount(server.url);
}, 30_000);
afterAll(() => server.stop());

async function letIn(namespace = ""): Promise<RawConnection> {
  const connection = await RawConnection.webSocket(server.port);
  connection.write(frame(`40${namespace}{"token":"${account.token}"}`));
  await connection.until((received) => received.includes(`40${namespace}{"sid"`), BOUND_MS);
  return connection;
}

test(`${FRAMES} frames nested ${LEVELS} deep, of each kind, hold nobody up`, async () => {
  const kinds: Readonly<Record<string, string>> = {
    "an event": `42["message",{"sid":"s","message":"m","x":${nested(LEVELS)}}]`,
    "an event that asks for an answer": `421["update-state",{"sid":"s","agentState":${objects(LEVELS / 5)}}]`,
    "an unknown event": `42["nothing",${nested(LEVELS)}]`,
    "an acknowledgement": `431[${nested(LEVELS)}]`,
    "a binary event": `451-["message",${nested(LEVELS)}]`,
    "another namespace": `42/x",${nested(LEVELS)}`,
  };
  const verdict = await server.during("deep frames", async () => {
    for (const packet of Object.values(kinds)) {
      for (let round = 0; round < FRAMES; round++) {
        const connection = await letIn();
        connection.write(frame(packet));
        connection.write(frame('427["ping"]'));
        await connection.until((received) => received.includes("437[{}]") || connection.closed, BOUND_MS);
        connection.destroy();
      }
    }
  });
  expect(verdict.slowestMs).toBeLessThan(1_000);
  expect(await server.metric('roost_bound_refusals_total{bound="json-depth"}')).toBeGreaterThan(4 * FRAMES);
}, 120_000);

test("an event that can be answered is answered with its own error, and its connection lives", async () => {
  for (const name of ["", "/i/code,"]) {
    const connection = await letIn(name);
    const events = [
      ['"update-state"', '[{"result":"error"}]'],
      ['"machine-update-state"', '[{"result":"error","message":"Internal error"}]'],
      ['"rpc-call"', '[{"ok":false,"error":"Internal error"}]'],
    ];
    for (const [index, [event, error]] of events.entries()) {
      connection.write(frame(`42${name}${index + 1}[${event},${nested(256)}]`));
      await connection.until((received) => received.includes(`43${name}${index + 1}${error}`), BOUND_MS);
    }
    // Without an answer it is as every event that no handler can read.
    connection.write(frame(`42${name}["message",${nested(256)}]`));
    connection.write(frame(`42${name}9["ping",${nested(255)}]`));
    expect(await connection.until((received) => received.includes(`43${name}9[{}]`), BOUND_MS)).toBe(true);
    connection.destroy();
  }
});

test("a deep answer to a call costs the call", async () => {
  const daemon = await account.connect({ clientType: "machine-scoped", machineId: "m" });
  const phone = await account.connect();
  daemon.socket.on("rpc-request", (_request, answer: (result: unknown) => void) =>
    answer(JSON.parse(nested(1_000))),
  );
  daemon.socket.emit("rpc-register", { method: "m:deep" });
  await daemon.until(({ event }) => event === "rpc-registered");
  expect(await phone.ask("rpc-call", { method: "m:deep" })).toEqual({
    ok: false,
    error: "RPC answer too large",
  });
  expect(daemon.socket.connected).toBe(true);
  for (const listener of [daemon, phone]) listener.close();
});

test("a deep CONNECT packet ends its connection, over polling too", async () => {
  const connection = await RawConnection.webSocket(server.port);
  connection.write(frame(`40{"token":${nested(10_000)}}`));
  expect(await connection.until(() => connection.closed, BOUND_MS)).toBe(true);
  const handshake = await (await fetch(`${server.url}${POLLING}`)).text();
  const session = `${server.url}${POLLING}&sid=${JSON.parse(handshake.slice(1)).sid}`;
  await fetch(session, { method: "POST", body: `40{"token":${nested(5_000)}}` });
  const gone = await fetch(session, { method: "POST", body: "3" });
  expect([gone.status, await gone.json()]).toEqual([400, { code: 1, message: "Session ID unknown" }]);
});

test("polling bodies full of deep packets hold nobody up", async () => {
  const handshake = await (await fetch(`${server.url}${POLLING}`)).text();
  const session = `${server.url}${POLLING}&sid=${JSON.parse(handshake.slice(1)).sid}`;
  await fetch(session, { method: "POST", body: `40{"token":"${account.token}"}` });
  expect(await (await fetch(session)).text()).toStartWith('40{"sid"');
  const verdict = await server.during("deep polling bodies", async () => {
    const body = Array.from({ length: 9 }, () => `42["message",${nested(LEVELS)}]`).join("\x1e");
    for (let round = 0; round < 20; round++)
      expect((await fetch(session, { method: "POST", body })).status).toBe(200);
  });
  expect(verdict.slowestMs).toBeLessThan(1_000);
}, 60_000);
