// Who hears what (realtime contract 3, 7, 8 and 12), and the measured transcript of its section 18, body by body.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Audience, audience } from "../support/happy-audience.ts";
import { type Account, type Heard, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ happyPresenceGraceMs: 300 });
});
afterAll(() => server.stop());

interface Scene extends Audience {
  readonly account: Account;
  readonly sid: string;
  readonly mid: string;
  socket(name: string): Audience["sockets"][string];
  /** Names of those who heard something since the last look. */
  hearers(): Promise<string[]>;
}

async function scene(): Promise<Scene> {
  const account = await newAccount(server.url);
  const sid = (await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m0" })).body.session.id;
  const mid = crypto.randomUUID();
  await account.call("POST", "/v1/machines", { id: mid, metadata: "m0" });
  const all = await audience(account, sid, mid);
  const socket = (name: string) => {
    const found = all.sockets[name];
    if (found === undefined) throw new Error(`no socket ${name}`);
    return found;
  };
  return { ...all, account, sid, mid, socket, hearers: async () => Object.keys(await all.heard()) };
}

const USER = ["phone"];
const IN_SESSION = ["phone", "session"];
const IN_MACHINE = ["phone", "machine"];

const triggers: readonly [string, readonly string[], (here: Scene) => Promise<unknown> | unknown][] = [
  [
    "POST /v1/sessions with a new tag",
    USER,
    ({ account }) => account.call("POST", "/v1/sessions", { tag: "new", metadata: "m" }),
  ],
  [
    "POST /v1/sessions with a known tag",
    [],
    ({ account }) => account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" }),
  ],
  [
    "POST messages",
    IN_SESSION,
    ({ account, sid }) =>
      account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content: "c", localId: "l" }] }),
  ],
  [
    "message of a phone",
    ["session"],
    ({ socket, sid }) => socket("phone").socket.emit("message", { sid, message: "c" }),
  ],
  [
    "message of the agent",
    USER,
    ({ socket, sid }) => socket("session").socket.emit("message", { sid, message: "c" }),
  ],
  [
    "message of another session's agent",
    IN_SESSION,
    ({ socket, sid }) => socket("otherSession").socket.emit("message", { sid, message: "c" }),
  ],
  [
    "message of a machine",
    IN_SESSION,
    ({ socket, sid }) => socket("machine").socket.emit("message", { sid, message: "c" }),
  ],
  [
    "message of a stranger",
    [],
    ({ socket, sid }) => socket("strangersSession").socket.emit("message", { sid, message: "c" }),
  ],
  [
    "update-metadata",
    IN_SESSION,
    ({ socket, sid }) =>
      socket("session").ask("update-metadata", { sid, metadata: "m1", expectedVersion: 0 }),
  ],
  [
    "update-state",
    IN_SESSION,
    ({ socket, sid }) => socket("phone").ask("update-state", { sid, agentState: "s", expectedVersion: 0 }),
  ],
  [
    "PUT /v1/sessions/:id",
    IN_SESSION,
    ({ account, sid }) =>
      account.call("PUT", `/v1/sessions/${sid}`, { metadata: "m1", expectedMetadataVersion: 0 }),
  ],
  [
    "session-alive",
    USER,
    ({ socket, sid }) => socket("session").socket.emit("session-alive", { sid, time: Date.now() }),
  ],
  [
    "session-end",
    USER,
    ({ socket, sid }) => socket("session").socket.emit("session-end", { sid, time: Date.now() }),
  ],
  ["archive", USER, ({ account, sid }) => account.call("POST", `/v1/sessions/${sid}/archive`)],
  ["DELETE a session", USER, ({ account, sid }) => account.call("DELETE", `/v1/sessions/${sid}`)],
  [
    "machine-alive",
    USER,
    ({ socket, mid }) => socket("machine").socket.emit("machine-alive", { machineId: mid, time: Date.now() }),
  ],
  [
    "another machine's socket",
    USER,
    async ({ account }) => (await account.connect({ clientType: "machine-scoped", machineId: "x" })).close(),
  ],
  [
    "machine-update-metadata",
    IN_MACHINE,
    ({ socket, mid }) =>
      socket("machine").ask("machine-update-metadata", {
        machineId: mid,
        metadata: "m1",
        expectedVersion: 1,
      }),
  ],
  [
    "machine-update-state",
    IN_MACHINE,
    ({ socket, mid }) =>
      socket("otherMachine").ask("machine-update-state", {
        machineId: mid,
        daemonState: "s",
        expectedVersion: 0,
      }),
  ],
  [
    "POST /v1/machines, known",
    [],
    ({ account, mid }) => account.call("POST", "/v1/machines", { id: mid, metadata: "other" }),
  ],
  [
    "POST /v1/machines, new",
    USER,
    ({ account }) => account.call("POST", "/v1/machines", { id: crypto.randomUUID(), metadata: "m" }),
  ],
  ["DELETE a machine", USER, ({ account, mid }) => account.call("DELETE", `/v1/machines/${mid}`)],
  ["app-state", [], ({ socket }) => socket("phone").socket.emit("app-state", { state: "active" })],
  ["ping", [], ({ socket }) => socket("phone").ask("ping")],
  ["an event that nobody knows", [], ({ socket }) => socket("phone").socket.emit("made-up", { a: 1 })],
];

for (const [trigger, hearers, run] of triggers) {
  test(`${trigger}: ${hearers.join(", ") || "nobody"}`, async () => {
    const here = await scene();
    await run(here);
    // What was sent without an answer has arrived when its sender's own round trip is over.
    for (const listener of Object.values(here.sockets)) await listener.settled();
    expect(await here.hearers()).toEqual([...hearers]);
    here.close();
  });
}

test("whoever is in several of the rooms hears once", async () => {
  const here = await scene();
  const { account, sid } = here;
  await account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content: "c", localId: "l" }] });
  const heard = await here.heard();
  expect(heard.phone).toHaveLength(1);
  expect(heard.session).toHaveLength(1);
  here.close();
});

test("the measured transcript of one phone, one agent and one daemon", async () => {
  const account = await newAccount(server.url);
  const U = await account.connect();
  const script: string[] = [];
  const listeners: [string, typeof U][] = [["U", U]];
  const names = new Map<string, string>();
  /** What everybody heard in this step, with ids by their names and times as "ms". */
  const step = async (name: string) => {
    for (const [, listener] of listeners) await listener.settled();
    const heard = listeners.flatMap(([who, listener]) =>
      listener.heard.splice(0).map(({ event, body }: Heard) => `  ${who} <- ${event} ${shown(event, body)}`),
    );
    script.push(name, ...heard);
  };
  const shown = (event: string, body: Heard["body"]) => {
    if (event === "update") expect(body.id).toMatch(/^[A-Za-z0-9]{12}$/);
    const { id: _, ...rest } = event === "update" ? body : { id: 0, ...body };
    let text = JSON.stringify(event === "update" ? rest : body);
    for (const [id, called] of names) text = text.replaceAll(id, called);
    return text.replace(/\b1[6-9]\d{11}\b/g, "ms").replace(/"id":"c[a-z0-9]{24}"/g, '"id":"cm"');
  };

  const opened = await account.call("POST", "/v1/sessions", {
    tag: "t",
    metadata: "bWV0YQ==",
    dataEncryptionKey: "AAEC",
    agentState: "ignored",
  });
  const sid = opened.body.session.id;
  names.set(sid, "SID");
  await step("POST /v1/sessions");
  const M = await account.connect({ clientType: "machine-scoped", machineId: "mach-1" });
  listeners.push(["M", M]);
  await step("M connects");
  await account.call("POST", "/v1/machines", { id: "mach-1", metadata: "bWQ=" });
  await step("POST /v1/machines (new)");
  const S = await account.connect({ clientType: "session-scoped", sessionId: sid });
  listeners.push(["S", S]);
  S.socket.emit("message", { sid, message: "enc1", localId: "L1" });
  await S.settled();
  await step("S emits message localId L1");
  S.socket.emit("message", { sid, message: "enc1 again", localId: "L1" });
  await S.settled();
  await step("S emits message L1 again");
  U.socket.emit("message", { sid, message: "enc2" });
  await U.settled();
  await step("U emits message, no localId");
  script.push(
    `  ack ${JSON.stringify(await S.ask("update-metadata", { sid, metadata: "m2", expectedVersion: 0 }))}`,
  );
  await step("S update-metadata v0");
  await S.ask("update-state", { sid, agentState: "s1", expectedVersion: 0 });
  await step("S update-state v0");
  script.push(
    `  ack ${JSON.stringify(await S.ask("update-state", { sid, agentState: null, expectedVersion: 1 }))}`,
  );
  await step("S update-state null v1");
  S.socket.emit("session-alive", { sid, time: Date.now(), thinking: true });
  await S.settled();
  await step("S session-alive thinking");
  S.socket.emit("session-end", { sid, time: Date.now() });
  await S.settled();
  await step("S session-end");
  S.socket.emit("session-alive", { sid, time: Date.now() });
  await S.settled();
  await step("S session-alive (<60 s)");
  listeners.splice(1, 1);
  M.close();
  await U.untilEphemeral("machine-activity", ({ active }) => !active);
  await step("M disconnects, one grace later");
  await account.call("DELETE", `/v1/sessions/${sid}`);
  await step("DELETE session");

  expect(script.join("\n")).toBe(
    `
POST /v1/sessions
  U <- update {"seq":1,"body":{"t":"new-session","id":"SID","seq":0,"metadata":"bWV0YQ==","metadataVersion":0,"agentState":null,"agentStateVersion":0,"dataEncryptionKey":"AAEC","active":true,"activeAt":ms,"createdAt":ms,"updatedAt":ms},"createdAt":ms}
M connects
  U <- ephemeral {"type":"machine-activity","id":"mach-1","active":true,"activeAt":ms}
POST /v1/machines (new)
  U <- update {"seq":2,"body":{"t":"new-machine","machineId":"mach-1","seq":0,"metadata":"bWQ=","metadataVersion":1,"daemonState":null,"daemonStateVersion":0,"dataEncryptionKey":null,"active":false,"activeAt":ms,"createdAt":ms,"updatedAt":ms},"createdAt":ms}
  U <- update {"seq":3,"body":{"t":"update-machine","machineId":"mach-1","metadata":{"value":"bWQ=","version":1}},"createdAt":ms}
  M <- update {"seq":3,"body":{"t":"update-machine","machineId":"mach-1","metadata":{"value":"bWQ=","version":1}},"createdAt":ms}
S emits message localId L1
  U <- update {"seq":4,"body":{"t":"new-message","sid":"SID","message":{"id":"cm","seq":1,"content":{"t":"encrypted","c":"enc1"},"localId":"L1","createdAt":ms,"updatedAt":ms}},"createdAt":ms}
S emits message L1 again
U emits message, no localId
  S <- update {"seq":5,"body":{"t":"new-message","sid":"SID","message":{"id":"cm","seq":2,"content":{"t":"encrypted","c":"enc2"},"localId":null,"createdAt":ms,"updatedAt":ms}},"createdAt":ms}
  ack {"result":"success","version":1,"metadata":"m2"}
S update-metadata v0
  U <- update {"seq":6,"body":{"t":"update-session","id":"SID","metadata":{"value":"m2","version":1}},"createdAt":ms}
  S <- update {"seq":6,"body":{"t":"update-session","id":"SID","metadata":{"value":"m2","version":1}},"createdAt":ms}
S update-state v0
  U <- update {"seq":7,"body":{"t":"update-session","id":"SID","agentState":{"value":"s1","version":1}},"createdAt":ms}
  S <- update {"seq":7,"body":{"t":"update-session","id":"SID","agentState":{"value":"s1","version":1}},"createdAt":ms}
  ack {"result":"success","version":2,"agentState":null}
S update-state null v1
  U <- update {"seq":8,"body":{"t":"update-session","id":"SID","agentState":{"value":null,"version":2}},"createdAt":ms}
  S <- update {"seq":8,"body":{"t":"update-session","id":"SID","agentState":{"value":null,"version":2}},"createdAt":ms}
S session-alive thinking
  U <- ephemeral {"type":"activity","id":"SID","active":true,"activeAt":ms,"thinking":true}
S session-end
  U <- ephemeral {"type":"activity","id":"SID","active":false,"activeAt":ms,"thinking":false}
S session-alive (<60 s)
M disconnects, one grace later
  U <- ephemeral {"type":"machine-activity","id":"mach-1","active":false,"activeAt":ms}
DELETE session
  U <- update {"seq":9,"body":{"t":"delete-session","sid":"SID"},"createdAt":ms}
`.trim(),
  );
  for (const listener of [U, S]) listener.close();
});
