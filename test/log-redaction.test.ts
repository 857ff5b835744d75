// The log never holds a token, a key or content, also at its most talkative, also for what fails: one server does what clients make
// it do, rightly and wrongly, with and without its tables, and then everything that it wrote is searched.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import nacl from "tweetnacl";
import { type ServerProcess, startProcess } from "./faults/server-process.ts";
import { type ExpoService, expoService } from "./support/expo.ts";
import { type Account, accountWith, call, type Listener } from "./support/happy-client.ts";
import { withoutTable } from "./support/without-table.ts";

const MASTER = "master-secret-of-the-redaction-test";
const METRICS_TOKEN = "metrics-token-of-the-redaction-test";
/** Stands in everything that a client would call content. */
const MARK = "c0ntent-that-nobody-may-log";
const b64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString("base64");

let server: ServerProcess;
let expo: ExpoService;
let dataDir: string;
const secrets = new Map<string, string>();
const remember = (what: string, secret: string) => {
  secrets.set(what, secret);
  return secret;
};

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-redaction-"));
  expo = expoService();
  server = await startProcess({
    dataDir,
    env: {
      ROOST_LOG_LEVEL: "trace",
      ROOST_MASTER_SECRET: MASTER,
      ROOST_METRICS_TOKEN: METRICS_TOKEN,
      ROOST_RATE_LIMITS: "false",
      ROOST_EXPO_URL: expo.url,
      ROOST_TOPICS_ENABLED: "true",
      ROOST_ADMIN_USERNAME: "admin",
      ROOST_ADMIN_PASSWORD: remember("password", "password-of-the-admin"),
    },
  });
});
afterAll(async () => {
  if (server !== undefined && (await Promise.race([server.exited, Promise.resolve(-1)])) === -1)
    await server.end("SIGKILL");
  await expo?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function signedIn(name: string): Promise<Account> {
  const keys = nacl.sign.keyPair();
  const challenge = nacl.randomBytes(32);
  remember(`${name}: secret key`, b64(keys.secretKey));
  const body = {
    publicKey: remember(`${name}: public key`, b64(keys.publicKey)),
    challenge: remember(`${name}: challenge`, b64(challenge)),
    signature: remember(`${name}: signature`, b64(nacl.sign.detached(challenge, keys.secretKey))),
  };
  remember(`${name}: public key in hex`, Buffer.from(keys.publicKey).toString("hex"));
  const answer = await call(server.url, undefined, "POST", "/v1/auth", body);
  const account = accountWith(server.url, remember(`${name}: token`, answer.body.token));
  // The first part says only that it is a token.
  for (const [index, part] of account.token.split(".").entries())
    if (index > 0) remember(`${name}: part ${index} of the token`, part);
  return account;
}

/** Requests with content in every place that takes some. Wrong ones are in it on purpose. */
function requests(sid: string, friend: string): [method: string, path: string, body?: unknown][] {
  const key = b64(`${MARK}-key`);
  const content = b64(`${MARK}-text`);
  const artifact = crypto.randomUUID();
  return [
    ["POST", "/v1/sessions", { tag: MARK, metadata: MARK, agentState: MARK, dataEncryptionKey: key }],
    ["PATCH", `/v1/sessions/${sid}`, { metadata: MARK }],
    ["POST", `/v3/sessions/${sid}/messages`, { messages: [{ content, localId: MARK }] }],
    ["POST", `/v3/sessions/${sid}/messages`, { messages: [{ content: { c: MARK }, localId: 3 }] }],
    ["GET", `/v1/sessions/${sid}/messages`],
    ["POST", "/v1/machines", { id: MARK, metadata: MARK, daemonState: MARK, dataEncryptionKey: key }],
    ["POST", "/v1/artifacts", { id: artifact, header: content, body: content, dataEncryptionKey: key }],
    ["POST", `/v1/artifacts/${artifact}`, { header: MARK, expectedHeaderVersion: 1 }],
    ["POST", "/v1/kv", { mutations: [{ key: MARK, value: content, version: -1 }] }],
    ["POST", "/v1/kv/bulk", { keys: [MARK] }],
    ["GET", `/v1/kv/${MARK}`],
    ["GET", `/v1/kv?prefix=${MARK}`],
    ["POST", `/v1/access-keys/${sid}/${MARK}`, { data: content }],
    ["POST", "/v1/account/settings", { settings: MARK, expectedVersion: 0 }],
    ["POST", "/v1/push-tokens", { token: `ExponentPushToken[${MARK}]` }],
    [
      "POST",
      `/v1/sessions/${sid}/push-event`,
      { kind: "done", title: MARK, body: MARK, data: { text: MARK } },
    ],
    ["POST", "/v1/connect/openai/register", { token: MARK }],
    ["GET", "/v1/connect/openai/token"],
    ["GET", `/v1/user/search?query=${MARK}`],
    ["POST", "/v1/friends/add", { uid: friend }],
    ["POST", "/v1/usage/query", { sessionId: MARK }],
    ["POST", "/v1/auth/request", { publicKey: b64(nacl.randomBytes(32)) }],
    ["GET", `/v1/auth/request/status?publicKey=${encodeURIComponent(key)}`],
    ["POST", "/v1/auth/response", { response: MARK, publicKey: key }],
    ["POST", "/v1/auth", { publicKey: key, challenge: key, signature: key }],
    ["POST", "/v1/auth", `{"publicKey": "${MARK}`],
    ["POST", "/v1/sessions", `not json but ${MARK}`],
    ["GET", `/${MARK}?token=${MARK}`],
    ["GET", `/i/${MARK}/v1/version`],
    ["GET", `/files/${MARK}`],
    ["POST", "/api/v1/auth/login", { username: "admin", password: "password-of-the-admin" }],
    ["POST", "/api/v1/auth/login", { username: MARK, password: MARK }],
  ];
}

async function sockets(account: Account, sid: string): Promise<void> {
  const phone = await account.connect({
    clientType: "user-scoped",
    happyClient: `ios/${MARK}`,
    appState: "active",
  });
  const agent = await account.connect({ clientType: "session-scoped", sessionId: sid });
  const machine = await account.connect({ clientType: "machine-scoped", machineId: MARK });
  machine.socket.emit("rpc-register", { method: `${MARK}:bash` });
  machine.socket.on("rpc-request", (_request: unknown, answer: (text: string) => void) => answer(MARK));
  await machine.until(({ event }) => event === "rpc-registered");
  await phone.ask("rpc-call", { method: `${MARK}:bash`, params: MARK });
  agent.socket.emit("message", { sid, message: b64(`${MARK}-socket`), localId: MARK });
  agent.socket.emit("message", { sid: { [MARK]: 1 }, message: MARK });
  agent.socket.emit(MARK, MARK);
  agent.socket.emit("session-alive", { sid, time: Date.now(), thinking: true });
  await agent.ask("update-metadata", { sid, metadata: MARK, expectedVersion: 0 });
  await agent.ask("update-state", { sid, agentState: MARK, expectedVersion: 0 });
  agent.socket.emit("usage-report", { key: MARK, sessionId: sid, tokens: { total: 1 }, cost: { total: 1 } });
  for (const listener of [phone, agent, machine] as Listener[]) {
    await listener.settled();
    listener.close();
  }
  for (const token of [MARK, `${account.token}x`, { [MARK]: 1 }])
    await accountWith(server.url, account.token)
      .connect({ token })
      .then(
        () => {
          throw new Error("a wrong token was accepted");
        },
        () => {},
      );
}

test("nothing of what clients send or hold is in the log", async () => {
  const account = await signedIn("owner");
  const friend = await signedIn("friend");
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: MARK });
  const sid: string = opened.body.session.id;
  const statuses: number[] = [];
  const sendAll = async () => {
    for (const [method, path, body] of requests(sid, friend.id)) {
      for (const token of [account.token, `${account.token}x`, undefined])
        statuses.push((await call(server.url, token, method, path, body)).status);
    }
  };
  await sendAll();
  await sockets(account, sid);
  const upload = await fetch(`${server.url}/v1/sessions/${sid}/attachments/a.enc`, {
    method: "PUT",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
    body: MARK,
  });
  expect(upload.status).toBe(200);
  await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
  await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${MARK}` } });

  // The same with one table after the other away: every failure that is unexpected, with its error in the log.
  for (const table of [
    "sessions",
    "messages",
    "machines",
    "artifacts",
    "kv_entries",
    "push_tokens",
    "accounts",
  ])
    await withoutTable({ url: server.url, dataDir }, table, sendAll);
  expect(statuses).toContain(200);
  expect(statuses).toContain(500);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(15);

  expect(await server.end("SIGTERM")).toBe(0);
  const { stdout, stderr } = server.output;
  const log = stdout + stderr;
  // It was talkative indeed.
  expect(log).toContain('"route":"/v3/sessions/:sessionId/messages"');
  expect(log).toContain("no such table");
  expect(log.split("\n").filter((line) => line.includes('"msg":"request"')).length).toBeGreaterThan(500);

  for (const [what, secret] of [
    ...secrets,
    ["master secret", MASTER],
    ["metrics token", METRICS_TOKEN],
    ["content", MARK],
  ] as const) {
    for (const form of new Set([
      secret,
      encodeURIComponent(secret),
      b64(secret).replace(/=+$/, ""),
      Buffer.from(secret).toString("hex"),
    ])) {
      // At three letters' shift base64 looks different; what begins in it is enough.
      const found = log.split("\n").find((line) => line.toLowerCase().includes(form.toLowerCase()));
      if (found !== undefined) throw new Error(`${what} is in the log: ${found.slice(0, 2_000)}`);
    }
  }
}, 120_000);
