// What only some agents have: settings, lists of models, and the restart of a runner, over a whole server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { HapiDesk } from "../../support/hapi-desk.ts";

let desk: HapiDesk;
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

const SETTINGS: [path: string, flavor: string, body: object, asked: object, isNot: string][] = [
  [
    "collaboration-mode",
    "codex",
    { mode: "plan" },
    { collaborationMode: "plan" },
    "Collaboration mode is only supported for Codex sessions",
  ],
  [
    "service-tier",
    "codex",
    { serviceTier: "fast" },
    { serviceTier: "fast" },
    "Fast mode is only supported for Codex sessions",
  ],
  [
    "model-reasoning-effort",
    "opencode",
    { modelReasoningEffort: "high" },
    { modelReasoningEffort: "high" },
    "Model reasoning effort is only supported for Codex and OpenCode sessions",
  ],
  [
    "copilot-agent-mode",
    "copilot",
    { mode: "autopilot" },
    { copilotAgentMode: "autopilot" },
    "Copilot agent mode is only supported for Copilot sessions",
  ],
];

test.each(SETTINGS)(
  "%s is asked of the CLI of its agent only, and stored as it was applied",
  async (path, flavor, body, asked, isNot) => {
    const id = await desk.session({ flavor });
    const at = `/api/sessions/${id}/${path}`;
    expect(await desk.short("POST", at, body)).toEqual([
      409,
      { error: "Session is inactive", code: "session_inactive" },
    ]);
    const cli = await desk.sessionCli(id, {
      "set-session-config": (config: unknown) => ({ applied: config }),
    });
    expect(await desk.short("POST", at, {})).toEqual([400, { error: "Invalid body" }]);
    expect(await desk.short("POST", at, body)).toEqual([200, { ok: true }]);
    expect(cli.calls).toEqual([["set-session-config", asked]]);
    expect((await desk.ask("GET", `/api/sessions/${id}`)).body).toMatchObject({ session: asked });
    cli.answers.set("set-session-config", { error: "refused" });
    expect(await desk.short("POST", at, body)).toEqual([409, { error: "refused" }]);
    const other = await desk.session();
    await desk.sessionCli(other);
    for (const given of [body, {}])
      expect(await desk.short("POST", `/api/sessions/${other}/${path}`, given)).toEqual([
        400,
        { error: isNot },
      ]);
  },
);

test("a setting of an agent that its own terminal controls is left alone", async () => {
  const id = await desk.session({ flavor: "codex" }, { agentState: { controlledByUser: true } });
  await desk.sessionCli(id);
  expect(await desk.short("POST", `/api/sessions/${id}/service-tier`, { serviceTier: "fast" })).toEqual([
    409,
    { error: "Fast mode can only be changed for remote sessions" },
  ]);
});

test.each([
  ["codex", "model", "Model selection can only be changed for remote Codex sessions"],
  ["cursor", "model", "Model selection can only be changed for remote Cursor sessions"],
  ["grok", "effort", "Effort can only be changed for remote Grok sessions"],
])("the terminal of %s says its %s", async (flavor, setting, error) => {
  const id = await desk.session({ flavor }, { agentState: { controlledByUser: true } });
  const cli = await desk.sessionCli(id, { "set-session-config": { applied: { model: "x", effort: "x" } } });
  expect(await desk.short("POST", `/api/sessions/${id}/${setting}`, { [setting]: "x" })).toEqual([
    409,
    { error },
  ]);
  expect(cli.calls).toEqual([]);
});

const OF_SESSION: [path: string, flavor: string, method: string, isNot: string][] = [
  ["codex-models", "codex", "listCodexModels", "Codex models are only available for Codex sessions"],
  [
    "opencode-models",
    "opencode",
    "listOpencodeModels",
    "OpenCode models are only available for OpenCode sessions",
  ],
  [
    "opencode-reasoning-effort-options",
    "opencode",
    "listOpencodeReasoningEffortOptions",
    "OpenCode reasoning effort options are only available for OpenCode sessions",
  ],
  ["grok-models", "grok", "listGrokModels", "Grok models are only available for Grok sessions"],
  [
    "grok-reasoning-effort-options",
    "grok",
    "listGrokReasoningEffortOptions",
    "Grok effort options are only available for Grok sessions",
  ],
  [
    "copilot-models",
    "copilot",
    "listCopilotModels",
    "Copilot models are only available for Copilot sessions",
  ],
  ["cursor-models", "cursor", "listCursorModels", "Cursor models are only available for Cursor sessions"],
  ["pi-models", "pi", "listPiModels", "Not a Pi session"],
];

test.each(OF_SESSION)("%s of a session", async (path, flavor, method, isNot) => {
  const [id, bare, other] = [
    await desk.session({ flavor }),
    await desk.session({ flavor }),
    await desk.session(),
  ];
  const models = { success: true, models: [{ id: "m" }] };
  const cli = await desk.sessionCli(id, { [method]: models });
  await Promise.all([desk.sessionCli(bare), desk.sessionCli(other)]);
  expect(await desk.short("GET", `/api/sessions/${id}/${path}`)).toEqual([200, models]);
  expect(cli.calls).toEqual([[method, {}]]);
  expect(await desk.short("GET", `/api/sessions/${other}/${path}`)).toEqual([
    400,
    { success: false, error: isNot },
  ]);
  expect(await desk.short("GET", `/api/sessions/${bare}/${path}`)).toEqual([
    500,
    { success: false, error: `RPC handler not registered: ${bare}:${method}` },
  ]);
});

const OF_MACHINE: [path: string, method: string, params: object][] = [
  ["agy-models?refresh=true", "listAgyModels", { refresh: true }],
  ["agy-models", "listAgyModels", { refresh: false }],
  ["pi-models", "listPiModelsForMachine", {}],
  ["codex-models", "listCodexModels", {}],
  ["opencode-models?cwd=%2Fx", "listOpencodeModelsForCwd", { cwd: "/x" }],
  ["opencode-model-variants", "listOpencodeModelVariants", { cwd: null }],
  ["opencode-model-variants?cwd=%2Fx", "listOpencodeModelVariants", { cwd: "/x" }],
  ["grok-models?cwd=%2Fx", "listGrokModelsForCwd", { cwd: "/x" }],
  ["copilot-models?cwd=%2Fx", "listCopilotModelsForCwd", { cwd: "/x" }],
  ["cursor-models", "listCursorModels", {}],
];

test("lists of a machine", async () => {
  await desk.machine("lists");
  const runner = await desk.runner(
    "lists",
    Object.fromEntries(OF_MACHINE.map(([, method]) => [method, { models: [] }])),
  );
  for (const [path, method, params] of OF_MACHINE) {
    expect(await desk.short("GET", `/api/machines/lists/${path}`)).toEqual([200, { models: [] }]);
    expect(runner.calls.at(-1)).toEqual([method, params]);
  }
  for (const path of ["opencode-models", "grok-models?cwd=", "copilot-models?cwd=%20"])
    expect(await desk.short("GET", `/api/machines/lists/${path}`)).toEqual([
      400,
      { success: false, error: "cwd query parameter is required" },
    ]);
  await desk.machine("bare");
  expect(await desk.short("GET", "/api/machines/bare/codex-models")).toEqual([
    503,
    { success: false, error: "RPC handler not registered: bare:listCodexModels", code: "rpc_target_missing" },
  ]);
  expect(await desk.short("GET", "/api/machines/bare/agy-models")).toEqual([
    500,
    { success: false, error: "RPC handler not registered: bare:listAgyModels" },
  ]);
  expect(await desk.short("GET", "/api/machines/nobody/agy-models")).toEqual([
    404,
    { error: "Machine not found" },
  ]);
});

test("a runner is restarted only where something starts it again", async () => {
  await desk.machine("watched", { supervisedRestart: true });
  const at = "/api/machines/watched/restart-runner";
  expect(await desk.short("POST", at)).toEqual([
    503,
    { error: "Machine is offline", code: "machine_offline" },
  ]);
  const runner = await desk.runner("watched", { "stop-runner": { ok: true } });
  expect(await desk.short("POST", at)).toEqual([
    200,
    { message: "Runner stop requested; supervisor will relaunch" },
  ]);
  expect(runner.calls).toEqual([["stop-runner", {}]]);
  runner.answers.set("stop-runner", { error: "busy" });
  expect(await desk.short("POST", at)).toEqual([502, { error: "busy", code: "restart_failed" }]);
  await desk.machine("alone");
  await desk.runner("alone");
  expect(await desk.short("POST", "/api/machines/alone/restart-runner")).toMatchObject([
    502,
    { code: "restart_unsupported" },
  ]);
});
