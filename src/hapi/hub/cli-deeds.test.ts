// What is asked of CLIs: settings, permissions, spawning, files, commands. A CLI that is away, or answers oddly, is an answer.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestHub, PLACE, RUNNER, type TestHub } from "../../../test/support/hapi-hub.ts";

let t: TestHub;
let sid: string;
const key = () => ({ namespace: "default", id: sid });
const M1 = { namespace: "default", id: "m1" };

beforeEach(async () => {
  t = openTestHub();
  sid = await t.session();
});
afterEach(() => t.all.close());

const answers = (method: string, answer: unknown) => t.rpc.set(`${sid}:${method}`, answer);

describe("set-session-config", () => {
  const METHOD = "set-session-config";
  beforeEach(() => t.alive(sid));

  test("what the CLI applied is stored and told, once, in full (step 75)", async () => {
    answers(METHOD, { applied: { permissionMode: "plan" } });
    t.told.length = 0;
    expect(await t.hub.config.setPermissionMode(key(), "plan")).toEqual({ ok: true });
    expect(t.called).toEqual([[`${sid}:${METHOD}`, { permissionMode: "plan" }]]);
    const [full, ...more] = t.web();
    expect(more).toEqual([]);
    expect(full).toMatchObject({
      data: {
        permissionMode: "plan",
        metadata: { ...PLACE, preferredPermissionMode: "plan" },
        metadataVersion: 2,
      },
    });
  });

  test.each([
    [{ error: "no such model" }, "no such model"],
    ["hello", "Invalid response from session config RPC"],
    [null, "Invalid response from session config RPC"],
    [{ foo: 1 }, 'Missing applied session config, got: {"foo":1}'],
    [{ applied: { x: 1 } }, "Session did not apply model"],
  ])("the answer %p is refused with the literal text", async (answer, error) => {
    answers(METHOD, answer);
    t.told.length = 0;
    expect(await t.hub.config.setModel(key(), "opus")).toEqual({ ok: false, code: "cli", error });
    expect(t.web()).toEqual([]);
  });

  test("a CLI that is away is said in the literal text", async () => {
    expect(await t.hub.config.setModel(key(), "opus")).toMatchObject({
      code: "cli",
      error: `RPC handler not registered: ${sid}:${METHOD}`,
    });
  });

  test("models: by name, of a provider, none", async () => {
    answers(METHOD, (config: object) => ({ applied: config }));
    const stored = async () => ((await t.store.findSession(key())) as { model: unknown }).model;
    await t.hub.config.setModel(key(), "opus");
    expect(await stored()).toBe("opus");
    await t.hub.config.setModel(key(), { provider: "a", modelId: "b" });
    expect(await stored()).toBe("b");
    await t.hub.config.setModel(key(), null);
    expect(await stored()).toBeNull();
    await t.hub.config.setEffort(key(), "high");
    expect(await t.store.findSession(key())).toMatchObject({ effort: "high" });
  });

  test.each([
    ["dsh", "setModel", "unsupported", "Model selection is not supported for this session"],
    ["codex", "setEffort", "unsupported", "Effort selection is not supported for this session type"],
    ["pi", "setPermissionMode", "unsupported", "Permission mode not supported for session flavor"],
    ["claude", "setPermissionMode", "invalid", "Invalid permission mode for session flavor"],
  ] as const)("%s refuses %s", async (flavor, deed, code, error) => {
    sid = await t.session(flavor, { ...PLACE, flavor });
    await t.alive(sid);
    expect(await t.hub.config[deed](key(), "yolo")).toEqual({ ok: false, code, error });
    expect(t.called).toEqual([]);
  });

  test("the terminal of a local codex session says what model it uses", async () => {
    sid = await t.session("codex", { ...PLACE, flavor: "codex" });
    await t.alive(sid);
    await t.store.changeAgentState({ key: key(), expectedVersion: 1, value: { controlledByUser: true } });
    expect(await t.hub.config.setModel(key(), "x")).toMatchObject({ code: "conflict" });
  });

  test("a session that is away gets its mode for the next time, and no model", async () => {
    await t.hub.lifecycle.end({ session: key(), time: t.wall });
    expect(await t.hub.config.setPermissionMode(key(), "acceptEdits")).toEqual({ ok: true });
    expect(t.called).toEqual([]);
    expect(await t.hub.sessions.view(key())).toMatchObject({
      session: {
        active: false,
        permissionMode: "acceptEdits",
        metadata: { preferredPermissionMode: "acceptEdits" },
      },
    });
    expect(await t.hub.config.setModel(key(), "x")).toMatchObject({ code: "inactive" });
  });
});

describe("permissions", () => {
  beforeEach(async () => {
    await t.alive(sid);
    const requests = { "req-1": { tool: "Bash", arguments: { command: "ls" }, createdAt: 7 } };
    await t.store.changeAgentState({ key: key(), expectedVersion: 1, value: { requests } });
    answers("permission", null);
  });

  test("approved with what was given, in the recording's order (step 70)", async () => {
    const approval = {
      mode: "acceptEdits",
      allowTools: ["Bash(ls)"],
      decision: "approved_for_session",
    } as const;
    expect(await t.hub.permissions.approve(key(), "req-1", approval)).toEqual({ ok: true });
    expect(JSON.stringify(t.called[0]?.[1])).toBe(
      '{"id":"req-1","approved":true,"mode":"acceptEdits","allowTools":["Bash(ls)"],"decision":"approved_for_session"}',
    );
    await t.hub.permissions.deny(key(), "req-1");
    expect(t.called[1]?.[1]).toEqual({ id: "req-1", approved: false });
  });

  test("what does not wait is not found; a mode of another flavour is refused", async () => {
    for (const id of ["req-9", "constructor", "__proto__"]) {
      expect(await t.hub.permissions.approve(key(), id, {})).toMatchObject({
        code: "request-not-found",
        error: "Request not found",
      });
    }
    expect(await t.hub.permissions.approve(key(), "req-1", { mode: "yolo" })).toMatchObject({
      code: "invalid",
      error: "Invalid permission mode for session flavor",
    });
    expect(t.called).toEqual([]);
  });

  // Upstream fault: an absent CLI becomes a bare 500 (hapi-socket 17.6).
  test("a CLI that is away is said", async () => {
    t.rpc.clear();
    expect(await t.hub.permissions.approve(key(), "req-1", {})).toMatchObject({ code: "cli" });
    expect(await t.hub.calls.call(key(), "abort", { reason: "x" })).toMatchObject({
      error: `RPC handler not registered: ${sid}:abort`,
    });
  });
});

describe("spawn and paths", () => {
  beforeEach(() => t.machine());
  const spawn = (more: object = {}) => t.hub.spawning.spawn(M1, { directory: "/d", ...more });

  test("the runner's word, whatever it is", async () => {
    t.rpc.set("m1:spawn-happy-session", { type: "success", sessionId: sid });
    expect(await spawn()).toEqual({ ok: true, spawned: { type: "success", sessionId: sid } });
    t.rpc.clear();
    expect(await spawn()).toMatchObject({
      spawned: { type: "error", message: "RPC handler not registered: m1:spawn-happy-session" },
    });
  });

  test("an old runner, another namespace's, and a mode that an agent has not", async () => {
    await t.machine("old", { ...RUNNER, capabilities: [] });
    expect(await t.hub.spawning.spawn({ ...M1, id: "old" }, { directory: "/d" })).toMatchObject({
      spawned: { type: "error", code: "runner_upgrade_required" },
    });
    expect(await t.hub.spawning.agents({ ...M1, id: "old" })).toMatchObject({ code: "upgrade-required" });
    expect(await t.hub.spawning.spawn({ namespace: "other", id: "m1" }, { directory: "/d" })).toMatchObject({
      error: "Machine access denied",
    });
    expect(await spawn({ agent: "agy", startingMode: "pty" })).toMatchObject({
      code: "invalid",
      error: "AGY only supports remote mode",
    });
    expect(t.called).toEqual([]);
  });

  test("paths (step 82)", async () => {
    t.rpc.set("m1:path-exists", { exists: { "/a": true, "/b": false, "/c": "yes" } });
    expect(await t.hub.spawning.pathsExist(M1, [" /a ", "/b", "/a", "/c"])).toEqual({
      ok: true,
      exists: { "/a": true, "/b": false, "/c": false },
    });
    expect(t.called).toEqual([["m1:path-exists", { paths: ["/a", "/b", "/c"] }]]);
    expect(await t.hub.spawning.pathsExist(M1, [" "])).toEqual({ ok: true, exists: {} });
    t.rpc.set("m1:path-exists", { error: "Method not found" });
    expect(await t.hub.spawning.pathsExist(M1, ["/a"])).toMatchObject({
      code: "cli",
      error: "Method not found",
    });
  });
});

describe("files and commands", () => {
  test("a search asks twice, and the second answer may fail", async () => {
    answers("ripgrep", { success: true, stdout: "src/app.ts\nsrc/app.test.ts\nREADME.md\n" });
    answers("statFiles", { success: true, entries: [{ path: "src/app.ts", size: 11, modified: 7 }] });
    expect(await t.hub.calls.files(key(), " app ", 5)).toMatchObject({
      files: [{ fullPath: "src/app.ts", size: 11, modified: 7 }, { fullPath: "src/app.test.ts" }],
    });
    expect(t.called).toEqual([
      [
        `${sid}:ripgrep`,
        { args: ["--files", "--iglob", "*app*"], cwd: PLACE.path, fileSearch: { query: "app", limit: 5 } },
      ],
      [`${sid}:statFiles`, { paths: ["src/app.ts", "src/app.test.ts"] }],
    ]);
    t.rpc.delete(`${sid}:statFiles`);
    expect(await t.hub.calls.files(key(), "app", 5)).toMatchObject({ ok: true });
    answers("ripgrep", { success: false });
    expect(await t.hub.calls.files(key(), "app", 5)).toMatchObject({
      code: "cli",
      error: "Failed to list files",
    });
    answers("ripgrep", { success: false, error: "rg: no" });
    expect(await t.hub.calls.files(key(), "app", 5)).toMatchObject({ error: "rg: no" });
  });

  test("without a folder there is nothing to look in", async () => {
    sid = await t.session("odd", { host: "h" });
    expect(await t.hub.calls.callInFolder(key(), "git-status", {})).toMatchObject({
      error: "Session path not available",
    });
  });

  test("commands of the CLI and names of the metadata; those alone when it is away", async () => {
    sid = await t.session("slash", { ...PLACE, slashCommands: ["compact", "mine"] });
    const mine = { name: "mine", source: "builtin" };
    expect(await t.hub.calls.slashCommands(key())).toEqual({
      ok: true,
      answer: { success: true, commands: [{ name: "compact", source: "builtin" }, mine] },
    });
    const compact = { name: "compact", description: "Compact", source: "builtin" };
    answers("listSlashCommands", { success: true, commands: [compact] });
    expect(await t.hub.calls.slashCommands(key())).toMatchObject({ answer: { commands: [compact, mine] } });
    expect(t.called.at(-1)).toEqual([`${sid}:listSlashCommands`, { agent: "claude" }]);
    sid = await t.session("none");
    expect(await t.hub.calls.slashCommands(key())).toMatchObject({ code: "cli" });
  });
});

describe("hand-off to a terminal", () => {
  beforeEach(async () => {
    sid = await t.session("resumable", { ...PLACE, machineId: "m1", claudeSessionId: "c1", name: "n" });
  });

  test("what can go on, newest first, with a person's first words", async () => {
    const content = { role: "user", content: { type: "text", text: "first words" } };
    await t.hub.messages.fromCli({ namespace: "default", sid, content }, {});
    const [target, ...more] = await t.hub.handoff.resumable("default", "m1");
    expect(more).toEqual([]);
    expect(target).toMatchObject({
      sessionId: sid,
      flavor: "claude",
      directory: PLACE.path,
      host: "devbox",
      agentSessionId: "c1",
      active: false,
      controlledByUser: false,
      model: null,
      name: "n",
      firstUserMessage: "first words",
    });
    expect(await t.hub.handoff.resumable("default", "m2")).toEqual([]);
    expect(await t.hub.handoff.target({ ...key(), id: await t.session("fresh") })).toMatchObject({
      code: "resume-unavailable",
    });
  });

  test("resolves once the remote session has ended", async () => {
    await t.alive(sid);
    answers("handoff-local", () => {
      setTimeout(() => void t.hub.lifecycle.end({ session: key(), time: t.wall, reason: "handoff" }), 10);
      return { ok: true };
    });
    expect(await t.hub.handoff.toLocal(key())).toEqual({ ok: true });
    expect(t.hub.core.isActive(sid)).toBeFalse();
  });

  test("what is local already, shared, or cannot be asked is refused", async () => {
    await t.alive(sid);
    expect(await t.hub.handoff.toLocal(key())).toMatchObject({ code: "cli" });
    await t.store.changeAgentState({ key: key(), expectedVersion: 1, value: { controlledByUser: true } });
    expect(await t.hub.handoff.toLocal(key())).toMatchObject({ code: "already-local" });
    sid = await t.session("shared", { ...PLACE, capabilities: { concurrentClients: true } });
    expect(await t.hub.handoff.toLocal(key())).toMatchObject({ code: "not-applicable" });
  });
});
