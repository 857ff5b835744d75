// Every route of sessions: who is let in, what a body may be, and the literal of each refusal. As the released hub 0.30.7 answered.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { TestHapiHttp } from "../../../test/support/hapi-http.ts";
import { PLACE } from "../../../test/support/hapi-hub.ts";

let t: TestHapiHttp;
let sid: string;
beforeEach(async () => {
  t = new TestHapiHttp();
  sid = await t.hub.session();
});
afterEach(() => t.close());

const ask = (method: string, path: string, body?: unknown, namespace?: string) =>
  t.ask(method, path.replace("{id}", sid), body, namespace === undefined ? {} : { namespace });
const alive = () => t.hub.alive(sid);
const OK = [200, { ok: true }];

const GUARDED: readonly [method: string, path: string][] = [
  ["GET", ""],
  ["PATCH", ""],
  ["DELETE", ""],
  ["PUT", "/pin"],
  ["POST", "/resume"],
  ["POST", "/reopen"],
  ["POST", "/abort"],
  ["POST", "/archive"],
  ["POST", "/switch"],
  ["POST", "/permission-mode"],
  ["POST", "/model"],
  ["POST", "/effort"],
  ["POST", "/upload"],
  ["POST", "/upload/delete"],
  ["GET", "/slash-commands"],
  ["GET", "/skills"],
  ["GET", "/messages?limit=0"],
  ["POST", "/messages"],
  ["POST", "/messages/queued-state"],
  ["DELETE", "/messages/x"],
  ["POST", "/permissions/r/approve"],
  ["POST", "/permissions/r/deny"],
  ["GET", "/git-status"],
  ["GET", "/git-diff-numstat"],
  ["GET", "/git-diff-file"],
  ["GET", "/file"],
  ["GET", "/files?limit=0"],
  ["GET", "/directory"],
];

test.each(GUARDED)("%s .../:id%s says first of all who has no such session", async (method, path) => {
  // Of one that is at work too: that is known without a look into the store.
  for (const begin of [async () => {}, alive]) {
    await begin();
    expect(await ask(method, `/api/sessions/{id}${path}`, undefined, "other")).toEqual([
      403,
      { error: "Session access denied" },
    ]);
  }
  expect(await ask(method, `/api/sessions/none${path}`)).toEqual([404, { error: "Session not found" }]);
});

const ACTIVE_ONLY = ["abort", "switch", "model", "effort", "upload", "upload/delete", "messages"];
test.each([...ACTIVE_ONLY, "permissions/r/approve", "permissions/r/deny"])(
  "%s is only of a session that is at work, whatever the body is",
  async (path) => {
    expect(await ask("POST", `/api/sessions/{id}/${path}`, "no JSON")).toEqual([
      409,
      { error: "Session is inactive", code: "session_inactive" },
    ]);
  },
);

test("the list has only the namespace's own, cut as asked; what is no number is ignored", async () => {
  await t.hub.session("b");
  const foreign = await t.hub.session("c", PLACE, "other");
  const listed = async (query = "", namespace?: string) => {
    const [status, body] = await ask("GET", `/api/sessions${query}`, undefined, namespace);
    expect(status).toBe(200);
    return (body as { sessions: { id: string }[] }).sessions.map(({ id }) => id);
  };
  expect(await listed()).toHaveLength(2);
  expect(await listed("?limit=1&order=updatedAt")).toHaveLength(1);
  for (const one of ["0", "-1", "", "1.5"]) expect(await listed(`?limit=${one}`)).toHaveLength(1);
  for (const all of ["1x", "501", "Infinity"]) expect(await listed(`?limit=${all}`)).toHaveLength(2);
  expect(await listed("", "other")).toEqual([foreign]);
});

test("a name is 1 to 255 characters as they come, and does not move the session", async () => {
  const invalid = [400, { error: "Invalid body: name is required" }];
  for (const body of [{}, { name: "" }, { name: 1 }, { name: "x".repeat(256) }, "no JSON"])
    expect(await ask("PATCH", "/api/sessions/{id}", body)).toEqual(invalid);
  const updatedAt = await view("updatedAt");
  expect(await ask("PATCH", "/api/sessions/{id}", { name: " " })).toEqual(OK);
  expect(await ask("PATCH", "/api/sessions/{id}", { name: "x".repeat(255) })).toEqual(OK);
  expect(await view("metadata")).toEqual({ ...PLACE, name: "x".repeat(255) });
  expect(await view("updatedAt")).toBe(updatedAt);
});

test("a session without a place gets one with its name: clients read no metadata without", async () => {
  sid = await t.hub.session("b", { flavor: "claude", own: 1 });
  await ask("PATCH", "/api/sessions/{id}", { name: "n" });
  expect(await view("metadata")).toEqual({ path: "", host: "", flavor: "claude", own: 1, name: "n" });
});

const view = async (key: string) => {
  const [, body] = await ask("GET", "/api/sessions/{id}");
  return (body as { session: Record<string, unknown> }).session[key];
};

test("pins", async () => {
  expect(await ask("PUT", "/api/sessions/{id}/pin", { mode: "x" })).toEqual([
    400,
    { error: "Invalid body: mode must be none, project, or global" },
  ]);
  for (const [mode, pinned, globalPinned] of [
    ["project", true, false],
    ["global", false, true],
    ["none", false, false],
  ]) {
    expect(await ask("PUT", "/api/sessions/{id}/pin", { mode })).toEqual(OK);
    expect([await view("pinned"), await view("globalPinned")]).toEqual([pinned, globalPinned]);
  }
});

test("only what is not at work is deleted", async () => {
  await alive();
  expect(await ask("DELETE", "/api/sessions/{id}")).toEqual([
    409,
    { error: "Cannot delete active session. Archive it first." },
  ]);
  t.hub.rpc.set(`${sid}:killSession`, {});
  expect(await ask("POST", "/api/sessions/{id}/archive")).toEqual(OK);
  expect(await ask("DELETE", "/api/sessions/{id}")).toEqual(OK);
  expect((await ask("GET", "/api/sessions/{id}"))[0]).toBe(404);
});

describe("stopping and taking up again", () => {
  test("what its CLI is asked; a CLI that is away is named, in the shape of every error", async () => {
    await alive();
    const away = (name: string) => [500, { error: `RPC handler not registered: ${sid}:${name}` }];
    expect(await ask("POST", "/api/sessions/{id}/abort")).toEqual(away("abort"));
    expect(await ask("POST", "/api/sessions/{id}/switch")).toEqual(away("switch"));
    for (const name of ["abort", "switch"]) t.hub.rpc.set(`${sid}:${name}`, { success: true });
    expect(await ask("POST", "/api/sessions/{id}/abort")).toEqual(OK);
    expect(await ask("POST", "/api/sessions/{id}/switch")).toEqual(OK);
    expect(t.hub.called).toEqual([
      [`${sid}:abort`, { reason: expect.any(String) }],
      [`${sid}:switch`, { to: "remote" }],
    ]);
  });

  test("a shared session has no modes to switch", async () => {
    sid = await t.hub.session("b", { ...PLACE, capabilities: { concurrentClients: true } });
    await alive();
    const refused = { error: "Shared sessions do not switch modes", code: "control_mode_not_applicable" };
    expect(await ask("POST", "/api/sessions/{id}/switch")).toEqual([409, refused]);
  });

  test("archived is archived; what never ran is only inactive, and has no code", async () => {
    const archive = () => ask("POST", "/api/sessions/{id}/archive");
    expect(await archive()).toEqual([409, { error: "Session is inactive" }]);
    await alive();
    expect(await archive()).toEqual(OK);
    expect(await archive()).toEqual([200, { ok: true, alreadyArchived: true }]);
  });

  test("resume: at work it is itself; else body, then mode, then a machine", async () => {
    const resume = (body?: unknown) => ask("POST", "/api/sessions/{id}/resume", body);
    for (const body of [[], { permissionMode: "no such mode" }, { permissionMode: 1 }])
      expect(await resume(body)).toEqual([400, { error: "Invalid body" }]);
    expect(await resume({ permissionMode: "read-only" })).toEqual([
      400,
      { error: "Invalid permission mode for session flavor" },
    ]);
    const none = [503, { error: "No machine online", code: "no_machine_online" }];
    for (const body of [undefined, "no JSON", {}]) expect(await resume(body)).toEqual(none);
    expect(await ask("POST", "/api/sessions/{id}/reopen", "no JSON")).toEqual(none);
    await alive();
    expect(await resume()).toEqual([200, { type: "success", sessionId: sid }]);
    expect(await ask("POST", "/api/sessions/{id}/reopen")).toEqual([
      200,
      { ok: true, sessionId: sid, resumed: false },
    ]);
  });

  test("resume says with a code why it cannot", async () => {
    sid = await t.hub.session("b", { ...PLACE, path: "" });
    const noPath = [409, { error: "Session metadata missing path", code: "resume_unavailable" }];
    expect(await ask("POST", "/api/sessions/{id}/resume")).toEqual(noPath);
    expect(await ask("POST", "/api/sessions/{id}/reopen")).toEqual(noPath);
    await t.hub.machine();
    sid = await t.hub.session("c", { ...PLACE, flavor: "pi" });
    expect(await ask("POST", "/api/sessions/{id}/resume", { permissionMode: "plan" })).toEqual([
      400,
      { error: "Invalid permission mode for session flavor" },
    ]);
    const content = { role: "user", content: { type: "text", text: "began" } };
    await t.hub.hub.messages.fromCli({ namespace: "default", sid, content, localId: undefined }, {});
    expect(await ask("POST", "/api/sessions/{id}/resume")).toMatchObject([
      409,
      { code: "resume_unavailable" },
    ]);
    sid = await t.hub.session("d");
    t.hub.rpc.set("m1:spawn-happy-session", { type: "error", errorMessage: "no such folder" });
    expect(await ask("POST", "/api/sessions/{id}/resume")).toEqual([
      500,
      { error: "no such folder", code: "resume_failed" },
    ]);
  });
});

describe("settings", () => {
  test.each([
    ["permission-mode", { mode: "no such" }, 400, "Invalid body"],
    ["permission-mode", { mode: "read-only" }, 400, "Invalid permission mode for session flavor"],
    ["model", {}, 400, "Invalid body"],
    ["model", { model: " " }, 400, "Invalid body"],
    ["model", { model: { provider: "a" } }, 400, "Invalid body"],
    ["effort", {}, 400, "Invalid body"],
    ["effort", { effort: 1 }, 400, "Invalid body"],
    ["effort", { effort: " " }, 400, "Invalid body"],
  ])("%s with %j: %i", async (path, body, status, error) => {
    await alive();
    expect(await ask("POST", `/api/sessions/{id}/${path}`, body)).toEqual([status, { error }]);
    expect(t.hub.called).toEqual([]);
  });

  test.each([
    ["permission-mode", { mode: "plan" }, { permissionMode: "plan" }],
    ["model", { model: " opus " }, { model: "opus" }],
    ["model", { model: { provider: "a", modelId: "b" } }, { model: { provider: "a", modelId: "b" } }],
    ["model", { model: null }, { model: null }],
    ["effort", { effort: " high " }, { effort: "high" }],
    ["effort", { effort: null }, { effort: null }],
  ])("%s with %j is asked of the CLI, whose refusal is a conflict", async (path, body, params) => {
    await alive();
    const method = `${sid}:set-session-config`;
    const set = () => ask("POST", `/api/sessions/{id}/${path}`, body);
    expect(await set()).toEqual([409, { error: `RPC handler not registered: ${method}` }]);
    for (const [answer, error] of [
      [{ error: "busy" }, "busy"],
      [{ applied: params, error: "no" }, "no"],
      [{ a: 1 }, 'Missing applied session config, got: {"a":1}'],
      [{ applied: {} }, `Session did not apply ${Object.keys(params)[0]}`],
      [null, "Invalid response from session config RPC"],
    ]) {
      t.hub.rpc.set(method, answer);
      expect(await set()).toEqual([409, { error }]);
    }
    t.hub.rpc.set(method, { applied: params });
    expect(await set()).toEqual(OK);
    expect(t.hub.called.at(-1)).toEqual([method, params]);
  });

  test("what an agent does not have", async () => {
    sid = await t.hub.session("b", { ...PLACE, flavor: "dsh" });
    await alive();
    expect(await ask("POST", "/api/sessions/{id}/permission-mode", { mode: "plan" })).toEqual([
      400,
      { error: "Permission mode not supported for session flavor" },
    ]);
    expect(await ask("POST", "/api/sessions/{id}/model", { model: "x" })).toEqual([
      400,
      { error: "Model selection is not supported for this session" },
    ]);
    expect(await ask("POST", "/api/sessions/{id}/effort", { effort: "x" })).toEqual([
      400,
      { error: "Effort selection is not supported for this session type" },
    ]);
  });

  test("of an agent that nobody knows, model and effort are left alone", async () => {
    sid = await t.hub.session("b", { ...PLACE, flavor: "from tomorrow" });
    await alive();
    t.hub.rpc.set(`${sid}:set-session-config`, { applied: { model: "x", effort: "x" } });
    for (const setting of ["model", "effort"])
      expect((await ask("POST", `/api/sessions/{id}/${setting}`, { [setting]: "x" }))[0]).toBe(400);
    expect(t.hub.called).toEqual([]);
  });

  test("of Pi, the provider of its model is kept beside it", async () => {
    sid = await t.hub.session("b", { ...PLACE, flavor: "pi" });
    await alive();
    t.hub.rpc.set(`${sid}:set-session-config`, (asked: object) => ({ applied: asked }));
    const model = { provider: "a", modelId: "b" };
    const choose = (model: unknown) => ask("POST", "/api/sessions/{id}/model", { model });
    expect(await choose(model)).toEqual(OK);
    expect(await view("model")).toBe("b");
    expect(await view("metadata")).toMatchObject({ piSelectedModel: model });
    expect(await choose("c")).toEqual(OK);
    expect(await view("metadata")).toMatchObject({ piSelectedModel: null });
  });

  test("the permission mode of a session that is away is kept for the next time", async () => {
    expect(await ask("POST", "/api/sessions/{id}/permission-mode", { mode: "plan" })).toEqual(OK);
    expect(await view("permissionMode")).toBe("plan");
    expect(t.hub.called).toEqual([]);
  });
});
