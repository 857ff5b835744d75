// No stored value is larger than permitted: HTTP answers 413, a socket's event its own error, and nothing changes. Only a message is
// left out of its batch instead, because the CLI repeats every refusal for ever; the operator hears of it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { checkRefusedMessages } from "../../src/happy/doctor/refused-messages.ts";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

setDefaultTimeout(60_000);

const METADATA = 2_000;
const STATE = 3_000;
const CONTENT = 5_000;
const MIB = 1024 * 1024;

let server: TestServer;
let account: Account;
let phone: Listener;
let sid: string;
beforeAll(async () => {
  server = await testServer({
    rateLimits: false,
    maxMetadataBytes: METADATA,
    maxStateBytes: STATE,
    maxContentBytes: CONTENT,
    metricsToken: "t",
  });
  account = await newAccount(server.url);
  sid = (await account.call("POST", "/v1/sessions", { tag: "sizes", metadata: "m" })).body.session.id;
  await account.call("POST", "/v1/machines", { id: "machine", metadata: "m" });
  const artifact = { id: ARTIFACT, header: "", body: "", dataEncryptionKey: "" };
  await account.call("POST", "/v1/artifacts", artifact);
  phone = await account.connect();
});
afterAll(async () => {
  phone.close();
  await server.stop();
});

const ARTIFACT = "11111111-1111-4111-8111-111111111111";
/** Three bytes in UTF-8 each, so that counting characters would let it pass. */
const text = (bytes: number) =>
  "€".repeat(Math.floor(bytes / 3)).padEnd(Math.floor(bytes / 3) + (bytes % 3), "x");
const bytes = (count: number) => Buffer.alloc(count, 1).toString("base64");

type Send = (value: string) => [method: string, path: () => string, body: Record<string, unknown>];
const uuid = () => crypto.randomUUID();
const CASES: [field: string, limit: number, value: (bytes: number) => string, send: Send][] = [
  ["metadata", METADATA, text, (metadata) => ["POST", () => "/v1/sessions", { tag: uuid(), metadata }]],
  [
    "dataEncryptionKey",
    METADATA,
    bytes,
    (dataEncryptionKey) => ["POST", () => "/v1/sessions", { tag: uuid(), metadata: "", dataEncryptionKey }],
  ],
  [
    "metadata",
    METADATA,
    text,
    (metadata) => ["PUT", () => `/v1/sessions/${sid}`, { metadata, expectedMetadataVersion: 0 }],
  ],
  [
    "agentState",
    STATE,
    text,
    (agentState) => ["PUT", () => `/v1/sessions/${sid}`, { agentState, expectedAgentStateVersion: 0 }],
  ],
  ["metadata", METADATA, text, (metadata) => ["POST", () => "/v1/machines", { id: uuid(), metadata }]],
  [
    "daemonState",
    STATE,
    text,
    (daemonState) => ["POST", () => "/v1/machines", { id: uuid(), metadata: "", daemonState }],
  ],
  [
    "daemonState",
    STATE,
    text,
    (daemonState) => ["PUT", () => "/v1/machines/machine", { daemonState, expectedDaemonStateVersion: 0 }],
  ],
  [
    "header",
    STATE,
    bytes,
    (header) => ["POST", () => "/v1/artifacts", { id: uuid(), header, body: "", dataEncryptionKey: "" }],
  ],
  [
    "body",
    STATE,
    bytes,
    (body) => ["POST", () => `/v1/artifacts/${ARTIFACT}`, { body, expectedBodyVersion: 1 }],
  ],
  ["value", STATE, bytes, (value) => ["PUT", () => "/v1/kv/one", { value }]],
  [
    "value",
    STATE,
    bytes,
    (value) => [
      "POST",
      () => "/v1/kv",
      {
        mutations: [
          { key: uuid(), value: "eA==", version: -1 },
          { key: uuid(), value, version: -1 },
        ],
      },
    ],
  ],
  [
    "settings",
    STATE,
    text,
    (settings) => ["POST", () => "/v1/account/settings", { settings, expectedVersion: 0 }],
  ],
  ["data", METADATA, text, (data) => ["POST", () => `/v1/access-keys/${sid}/machine`, { data }]],
];

test.each(CASES)(
  "HTTP: %s of %d bytes is stored, one byte more is 413 and changes nothing",
  async (field, limit, value, send) => {
    const [method, path, tooLarge] = send(value(limit + 1));
    const answer = await account.call(method, path(), tooLarge);
    expect([answer.status, answer.body]).toEqual([
      413,
      { error: "Payload Too Large", message: `${field} is larger than ${limit} bytes`, statusCode: 413 },
    ]);
    const [, , fitting] = send(value(limit));
    expect((await account.call(method, path(), fitting)).status).toBe(200);
  },
);

test.each<[event: string, payload: (value: string) => Record<string, unknown>, limit: number]>([
  ["update-metadata", (metadata) => ({ sid, metadata, expectedVersion: 1 }), METADATA],
  ["update-state", (agentState) => ({ sid, agentState, expectedVersion: 1 }), STATE],
  [
    "machine-update-metadata",
    (metadata) => ({ machineId: "machine", metadata, expectedVersion: 1 }),
    METADATA,
  ],
  [
    "machine-update-state",
    (daemonState) => ({ machineId: "machine", daemonState, expectedVersion: 1 }),
    STATE,
  ],
])(
  "a socket's %s: one byte too many is its own error acknowledgement, and the socket stays",
  async (event, payload, limit) => {
    expect(await phone.ask(event, payload(text(limit + 1)))).toMatchObject({ result: "error" });
    expect(phone.socket.connected).toBe(true);
    expect(await phone.ask(event, payload(text(limit)))).toMatchObject({ result: "success" });
  },
);

const stored = async (session: string) =>
  (await account.call("GET", `/v3/sessions/${session}/messages?limit=500`)).body.messages.map(
    ({ localId }: { localId: string }) => localId,
  );
const session = async () =>
  (await account.call("POST", "/v1/sessions", { tag: uuid(), metadata: "" })).body.session.id as string;

test("a message that is too large never spoils its batch: the rest is stored, answered and announced without it", async () => {
  const id = await session();
  const messages = [
    { localId: "a", content: text(CONTENT) },
    { localId: "b", content: text(CONTENT + 1) },
    { localId: "c", content: "small" },
  ];
  for (let round = 0; round < 2; round++) {
    const { status, body } = await account.call("POST", `/v3/sessions/${id}/messages`, { messages });
    expect([
      status,
      body.messages.map(({ localId, seq }: Record<string, unknown>) => [localId, seq]),
    ]).toEqual([
      200,
      [
        ["a", 1],
        ["c", 2],
      ],
    ]);
  }
  expect(await stored(id)).toEqual(["a", "c"]);
  await phone.settled();
  const heard = phone.updates.filter(({ body }) => body.t === "new-message" && body.sid === id);
  expect(heard.map(({ body }) => body.message.localId)).toEqual(["a", "c"]);
});

test("a batch of nothing but too large messages is answered 200 with none", async () => {
  const id = await session();
  const messages = [{ localId: "a", content: text(CONTENT + 1) }];
  const { status, body } = await account.call("POST", `/v3/sessions/${id}/messages`, { messages });
  expect([status, body]).toEqual([200, { messages: [] }]);
  expect(await stored(id)).toEqual([]);
});

test("what was left out is counted, and the doctor says so until its session is gone", async () => {
  const page = await (
    await fetch(`${server.url}/metrics`, { headers: { authorization: "Bearer t" } })
  ).text();
  expect(page).toMatch(/roost_bound_refusals_total\{bound="value-size"\} [1-9]/);
  const id = await session();
  const messages = [1, 2].map((n) => ({ localId: `${n}`, content: text(CONTENT + n) }));
  await account.call("POST", `/v3/sessions/${id}/messages`, { messages });
  const config = { ...server.config, dataDir: server.dataDir };
  const before = checkRefusedMessages(config);
  expect(before).toMatchObject({
    check: "messages",
    result: "warning",
    says: expect.stringMatching(/^5 messages of 3 sessions .* 5002 bytes, permitted are 5000/),
    fix: expect.stringContaining("--max-content-bytes 5002"),
  });
  await account.call("DELETE", `/v1/sessions/${id}`);
  expect(checkRefusedMessages(config).says).toStartWith("3 messages of 2 sessions");
  expect(checkRefusedMessages(config, Date.now() + 31 * 86_400_000)).toMatchObject({ result: "ok" });
});

test("with the limits of the default, a message of 33 MiB among others, sent by the CLI's way", async () => {
  const real = await testServer({ rateLimits: false });
  try {
    const me = await newAccount(real.url);
    const id = (await me.call("POST", "/v1/sessions", { tag: "t", metadata: "" })).body.session.id;
    const watcher = await me.connect();
    const sizes = [10, 33 * MIB, 5 * MIB, 32 * MIB, 20];
    const messages = sizes.map((size, n) => ({ localId: `${n}`, content: `${n}`.repeat(size) }));
    const { status, body } = await me.call("POST", `/v3/sessions/${id}/messages`, { messages });
    expect([
      status,
      body.messages.map(({ localId, seq }: Record<string, unknown>) => [localId, seq]),
    ]).toEqual([
      200,
      [
        ["0", 1],
        ["2", 2],
        ["3", 3],
        ["4", 4],
      ],
    ]);
    let after = 0;
    for (const n of [0, 2, 3, 4]) {
      const page = (await me.call("GET", `/v3/sessions/${id}/messages?after_seq=${after}&limit=1`)).body;
      expect(page.messages[0].localId).toBe(`${n}`);
      expect(page.messages[0].content.c === messages[n]?.content).toBe(true);
      after = page.messages[0].seq;
    }
    watcher.close();
  } finally {
    await real.stop();
  }
});

test("a body of a hundred thousand small things is refused, one with as many as anybody sends is not", async () => {
  const path = `/v3/sessions/${await session()}/messages`;
  const filler = Array.from({ length: 1_000_000 }, () => []);
  const many = await account.call("POST", path, {
    messages: [{ content: "c", localId: "l" }],
    filler: [filler, "x".repeat(3 * MIB)],
  });
  expect(many.status).toBe(413);
  const messages = Array.from({ length: 100 }, (_, n) => ({ content: "c".repeat(5_000), localId: `${n}` }));
  const full = await account.call("POST", path, { messages, filler: "x".repeat(5 * MIB) });
  expect([full.status, full.body.messages.length]).toEqual([200, 100]);
});
