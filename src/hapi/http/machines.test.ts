// Routes of machines, for web clients and for runners, and the settings that belong to the whole hub.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createECDH } from "node:crypto";
import { TestHapiHttp } from "../../../test/support/hapi-http.ts";
import { RUNNER } from "../../../test/support/hapi-hub.ts";

let t: TestHapiHttp;
beforeEach(async () => {
  t = new TestHapiHttp();
  await t.hub.machine();
});
afterEach(() => t.close());

const ask = (method: string, path: string, body?: unknown, namespace?: string) =>
  t.ask(method, path, body, namespace === undefined ? {} : { namespace });
const machine = (method: string, path: string, body?: unknown) =>
  ask(method, `/api/machines/m1${path}`, body);
const OK = [200, { ok: true }];
const INVALID = [400, { error: "Invalid body" }];

test.each([
  ["PATCH", "/api", ""],
  ["POST", "/api", "/spawn"],
  ["GET", "/api", "/agent-availability"],
  ["POST", "/api", "/paths/exists"],
  ["POST", "/api", "/list-directory"],
  ["GET", "/cli", ""],
])("%s %s/machines/:id%s says first of all who has no such machine", async (method, surface, path) => {
  expect(await ask(method, `${surface}/machines/m1${path}`, undefined, "other")).toEqual([
    403,
    { error: "Machine access denied" },
  ]);
  expect(await ask(method, `${surface}/machines/none${path}`)).toEqual([404, { error: "Machine not found" }]);
});

test("the list has those of the namespace that are there now", async () => {
  await ask("POST", "/cli/machines", { id: "away", metadata: RUNNER });
  const ids = async (namespace?: string) => {
    const [, body] = await ask("GET", "/api/machines", undefined, namespace);
    return (body as { machines: { id: string }[] }).machines.map(({ id }) => id);
  };
  expect(await ids()).toEqual(["m1"]);
  expect(await ids("other")).toEqual([]);
});

test("a name is trimmed, and empty takes it away", async () => {
  for (const body of [{}, { displayName: 1 }, "no JSON"])
    expect(await machine("PATCH", "", body)).toEqual([
      400,
      { error: "Invalid body: displayName is required" },
    ]);
  expect(await machine("PATCH", "", { displayName: "x".repeat(65) })).toEqual([
    400,
    { error: "displayName must be at most 64 characters" },
  ]);
  const named = async () => {
    const [, body] = await ask("GET", "/cli/machines/m1");
    return (body as { machine: { metadata: unknown } }).machine.metadata;
  };
  expect(await machine("PATCH", "", { displayName: ` ${"x".repeat(64)} ` })).toEqual(OK);
  expect(await named()).toEqual({ ...RUNNER, displayName: "x".repeat(64) });
  expect(await machine("PATCH", "", { displayName: "  " })).toEqual(OK);
  expect(await named()).toEqual(RUNNER);
});

describe("spawning", () => {
  test.each([
    {},
    { directory: "" },
    { directory: "/a", agent: "none" },
    { directory: "/a", startingMode: "local" },
    { directory: "/a", permissionMode: "none" },
    { directory: "/a", copilotAgentMode: "none" },
    { directory: "/a", collaborationMode: "none" },
    { directory: "/a", serviceTier: "none" },
    { directory: "/a", sessionType: "none" },
    { directory: "/a", yolo: 1 },
    { directory: "/a", model: null },
  ])("%j is no body", async (body) => {
    expect(await machine("POST", "/spawn", body)).toEqual(INVALID);
  });

  test("the runner gets what was given, and its answer is an answer whatever it is", async () => {
    const spawn = (body: object) => machine("POST", "/spawn", { directory: " /a ", ...body });
    const method = "m1:spawn-happy-session";
    const failed = (message: string) => [200, { type: "error", message }];
    expect(await spawn({})).toEqual(failed(`RPC handler not registered: ${method}`));
    for (const agent of ["agy", "dsh"])
      expect(await spawn({ agent, startingMode: "pty" })).toEqual([
        400,
        { error: `${agent.toUpperCase()} only supports remote mode` },
      ]);
    for (const [answer, message] of [
      [{ type: "error", errorMessage: "a" }, "a"],
      [{ error: "b" }, "b"],
      [
        { type: "requestToApproveDirectoryCreation", directory: "/a" },
        "Directory creation requires approval: /a",
      ],
      [
        { type: "requestToApproveDirectoryCreation" },
        'Unexpected spawn result: {"type":"requestToApproveDirectoryCreation"}',
      ],
      [{ type: "error", errorMessage: "a", code: "unknown to clients" }, "a"],
      [{ c: 1 }, 'Unexpected spawn result: {"c":1}'],
      [null, "Unexpected spawn result: null"],
    ] as const) {
      t.hub.rpc.set(method, answer);
      expect(await spawn({})).toEqual(failed(message));
    }
    t.hub.rpc.set(method, { type: "success", sessionId: "s" });
    expect(await spawn({ permissionMode: "read-only" })).toEqual([200, { type: "success", sessionId: "s" }]);
    // Not trimmed, and the mode is the runner's to judge.
    expect(t.hub.called.at(-1)?.[1]).toEqual({
      type: "spawn-in-directory",
      directory: " /a ",
      agent: "claude",
      permissionMode: "read-only",
      forkSession: false,
    });
  });

  test("a runner that is too old is not asked", async () => {
    await t.hub.machine("m2", { ...RUNNER, capabilities: [] });
    const must = "This runner must be upgraded before creating sessions";
    const code = "runner_upgrade_required";
    expect(await ask("POST", "/api/machines/m2/spawn", { directory: "/a" })).toEqual([
      200,
      { type: "error", message: must, code },
    ]);
    expect(await ask("GET", "/api/machines/m2/agent-availability")).toEqual([409, { error: must, code }]);
    expect(t.hub.called).toEqual([]);
  });
});

test("agents, paths and folders as the runner says", async () => {
  const agents = { agents: [{ agent: "claude", available: true }] };
  const unregistered = (name: string) => [500, { error: `RPC handler not registered: m1:${name}` }];
  expect(await machine("GET", "/agent-availability")).toEqual(unregistered("agent-availability"));
  t.hub.rpc.set("m1:agent-availability", agents);
  expect(await machine("GET", "/agent-availability")).toEqual([200, agents]);

  const exists = (paths: unknown) => machine("POST", "/paths/exists", { paths });
  for (const bad of [undefined, [""], new Array(1_001).fill("a")]) expect(await exists(bad)).toEqual(INVALID);
  expect(await exists([" "])).toEqual([200, { exists: {} }]);
  expect(await exists(["/a"])).toEqual(unregistered("path-exists"));
  t.hub.rpc.set("m1:path-exists", { exists: { "/a": true }, outsideWorkspaceRoots: [] });
  expect(await exists([" /a", "/a", "/b"])).toEqual([200, { exists: { "/a": true, "/b": false } }]);
  expect(t.hub.called.at(-1)).toEqual(["m1:path-exists", { paths: ["/a", "/b"] }]);

  const list = (body: unknown) => machine("POST", "/list-directory", body);
  expect(await list({})).toEqual(INVALID);
  expect(await list({ path: "/a" })).toEqual(unregistered("list-directory"));
  t.hub.rpc.set("m1:list-directory", { success: false, error: "no" });
  expect(await list({ path: "/a", includeHidden: true })).toEqual([200, { success: false, error: "no" }]);
  expect(t.hub.called.at(-1)).toEqual(["m1:list-directory", { path: "/a", includeHidden: true }]);
});

test.each([null, "text", 5, {}, { agents: 5 }, { agents: [{ agent: "claude" }] }])(
  "a runner that answers %j has not answered",
  async (answer) => {
    for (const name of ["agent-availability", "path-exists", "list-directory"])
      t.hub.rpc.set(`m1:${name}`, answer);
    const unexpected = (name: string) => ({ error: `Unexpected ${name} result` });
    expect(await machine("GET", "/agent-availability")).toEqual([500, unexpected("agent-availability")]);
    expect(await machine("POST", "/paths/exists", { paths: ["/a"] })).toEqual([
      500,
      unexpected("path-exists"),
    ]);
    const isListing = typeof answer === "object" && answer !== null;
    expect(await machine("POST", "/list-directory", { path: "/a" })).toEqual([
      200,
      isListing ? answer : { success: false, ...unexpected("list-directory") },
    ]);
  },
);

test("a machine registers with metadata that may be null and must be there, and is its namespace's for good", async () => {
  const register = (body: unknown, namespace?: string) => ask("POST", "/cli/machines", body, namespace);
  for (const body of [{}, { id: "x" }, { id: "", metadata: {} }])
    expect(await register(body)).toEqual(INVALID);
  expect(await register({ id: "x", metadata: null })).toMatchObject([200, { machine: { metadata: null } }]);
  expect(await register({ id: "m1", metadata: RUNNER }, "other")).toEqual([
    403,
    { error: "Machine access denied" },
  ]);
  const { capabilities } = RUNNER;
  expect(await register({ id: "m1", metadata: { own: 1, capabilities }, runnerState: null })).toMatchObject([
    200,
    { machine: { metadata: { ...RUNNER, own: 1 }, metadataVersion: 2 } },
  ]);
});

describe("of the whole hub", () => {
  test("settings are everybody's to see and the owner's to change", async () => {
    const read = await t.fetch("GET", "/api/hub-settings", undefined, { namespace: "other" });
    expect(read.headers.get("cache-control")).toBe("no-store");
    expect(await read.json()).toEqual({ sessionSummaryContract: false, sessionSummaryInChat: false });
    const put = (body: unknown, namespace?: string) => ask("PUT", "/api/hub-settings", body, namespace);
    expect(await put({}, "other")).toEqual([
      403,
      { error: "Hub settings are only available to the hub owner" },
    ]);
    for (const body of [{}, { sessionSummaryContract: 1 }, "no JSON"])
      expect(await put(body)).toEqual(INVALID);
    expect(await put({ sessionSummaryContract: true })).toEqual([
      200,
      { sessionSummaryContract: true, sessionSummaryInChat: false },
    ]);
    expect(await ask("POST", "/cli/sessions", { tag: "t", metadata: null })).toMatchObject([
      200,
      { sessionSummaryContract: true },
    ]);
  });

  test("browsers' endpoints", async () => {
    expect(await ask("GET", "/api/push/vapid-public-key")).toEqual([200, { publicKey: "the key" }]);
    const p256dh = createECDH("prime256v1").generateKeys().toString("base64url");
    const auth = Buffer.alloc(16, 7).toString("base64url");
    const subscription = { endpoint: "https://push.example/1", keys: { p256dh, auth } };
    expect(await ask("POST", "/api/push/subscribe", { endpoint: "x" })).toEqual(INVALID);
    expect(await ask("POST", "/api/push/subscribe", subscription)).toEqual(OK);
    const stored = () => t.hub.store.listSubscriptions("default");
    expect(await stored()).toMatchObject([{ endpoint: subscription.endpoint, p256dh, auth }]);
    expect(await ask("DELETE", "/api/push/subscribe", {})).toEqual(INVALID);
    expect(await ask("DELETE", "/api/push/subscribe", subscription, "other")).toEqual(OK);
    expect(await stored()).toHaveLength(1);
    for (let again = 0; again < 2; again++)
      expect(await ask("DELETE", "/api/push/subscribe", subscription)).toEqual(OK);
    expect(await stored()).toEqual([]);
  });
});
