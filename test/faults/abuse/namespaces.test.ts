// One connection that asks for very many namespaces, and many connections that each call theirs by another name: what one account's
// sockets do, another account's messages do not pay for.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AttackedServer, attackedServer } from "../../support/attacked-server.ts";
import { type Account, listen, newAccount } from "../../support/happy-client.ts";
import { until } from "../../support/until.ts";
import { frame, RawConnection } from "../raw-connection.ts";

const NAMESPACES = 20_000;
const CONNECTIONS = 300;
const MESSAGES = 50;
const BOUND_MS = 10_000;

let server: AttackedServer;
let attacker: Account;
beforeAll(async () => {
  server = await attackedServer();
  attacker = await newAccount(server.url);
}, 30_000);
afterAll(() => server.stop());

async function letIn(namespace: string): Promise<RawConnection> {
  const connection = await RawConnection.webSocket(server.port);
  connection.write(frame(`40${namespace}{"token":"${attacker.token}"}`));
  await connection.until((received) => received.includes(`40${namespace}{"sid"`), BOUND_MS);
  return connection;
}

/** Median of a message's way from a sender to a listener of another account, in milliseconds. */
async function messageMs(account: Account): Promise<number> {
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const sid = body.session.id;
  const [phone, agent] = [
    await account.connect(),
    await account.connect({ clientType: "session-scoped", sessionId: sid }),
  ];
  const times: number[] = [];
  for (let index = 0; index < MESSAGES; index++) {
    const startedAt = performance.now();
    agent.socket.emit("message", { sid, message: "x", localId: `m${index}` });
    await phone.until(
      ({ event, body }) => event === "update" && body.body.message?.localId === `m${index}`,
      BOUND_MS,
    );
    times.push(performance.now() - startedAt);
  }
  for (const listener of [phone, agent]) listener.close();
  return times.sort((a, b) => a - b)[MESSAGES >> 1] ?? 0;
}

test(`a connection that asks for ${NAMESPACES} namespaces is in one, and others' messages cost what they did`, async () => {
  const before = await messageMs(await newAccount(server.url));
  const connection = await letIn("");
  for (let index = 0; index < NAMESPACES; index++)
    connection.write(frame(`40/i/${index},{"token":"${attacker.token}"}`));
  await connection.until(() => connection.closed, BOUND_MS);
  expect(connection.received.split('{"sid"').length - 1).toBe(2);
  expect(connection.received).toContain("This connection has a namespace already");

  const others = await Promise.all(Array.from({ length: CONNECTIONS }, (_, index) => letIn(`/i/${index},`)));
  const during = await messageMs(await newAccount(server.url));
  console.error(`namespaces: a message took ${before.toFixed(1)} ms before, ${during.toFixed(1)} ms during`);
  expect(during).toBeLessThan(before * 3 + 15);
  for (const other of others) other.destroy();
}, 60_000);

test("CONNECT packets that come together give one socket, not many", async () => {
  const connection = await RawConnection.webSocket(server.port);
  const connect = frame(`40{"token":"${attacker.token}"}`);
  connection.write(Buffer.concat(Array.from({ length: 10 }, () => connect)));
  await connection.until((received) => received.includes('40{"sid"') || connection.closed, BOUND_MS);
  expect(connection.received.split('40{"sid"').length - 1).toBeLessThanOrEqual(1);
  connection.destroy();
});

test("the doctor's namespace beside one's own is not another main one", async () => {
  const connection = await letIn("");
  connection.write(frame("40/doctor,"));
  await connection.until((received) => received.includes("/doctor,"), BOUND_MS);
  connection.write(frame('421["ping"]'));
  expect(await connection.until((received) => received.includes("431[{}]"), BOUND_MS)).toBe(true);
  connection.destroy();
});

test("whoever calls / by the name of an invite hears of everything under that name, and may come again", async () => {
  const account = await newAccount(server.url);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const invited = await listen(
    `${server.url}/i/code`,
    { token: account.token },
    { path: "/v1/updates", reconnection: true, reconnectionDelay: 10 },
  );
  const plain = await account.connect();
  await account.call("POST", `/v3/sessions/${body.session.id}/messages`, {
    messages: [{ content: "c", localId: "l" }],
  });
  for (const listener of [invited, plain]) await listener.untilUpdate("new-message");
  expect(await invited.ask("ping")).toEqual({});
  // Left and entered again on the same connection.
  invited.socket.disconnect();
  const back = new Promise((resolve) => invited.socket.once("connect", () => resolve(true)));
  invited.socket.connect();
  expect(await back).toBe(true);
  expect(await invited.ask("ping")).toEqual({});
  for (const listener of [invited, plain]) listener.close();
});

test("an account holds as many sockets as it may, and a further one is told so", async () => {
  const few = await attackedServer({ ROOST_MAX_ACCOUNT_SOCKETS: "5" });
  try {
    const account = await newAccount(few.url);
    const attempts = await Promise.allSettled(
      Array.from({ length: 12 }, () => listen(few.url, { token: account.token, clientType: "user-scoped" })),
    );
    const refused = attempts.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
    expect(refused).toHaveLength(7);
    expect(new Set(refused)).toEqual(
      new Set(["Error: This account has 5 connections open already. Close some of them first."]),
    );
    await few.phone.settled();
    for (const one of attempts) if (one.status === "fulfilled") one.value.close();
    // A place that was given back is there again.
    const again = await until("a place that was given back", () => listen(few.url, { token: account.token }));
    again.close();
  } finally {
    await few.stop();
  }
}, 40_000);
