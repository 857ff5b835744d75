// Lists from which a person picks a model or an effort: of a session, asked of its CLI, and of a machine, asked of its runner (HTTP
// contract, C5). Two tables; what a CLI answers is passed on as it is.
import { Hono } from "hono";
import type { HapiContext } from "../../context.ts";
import type { AgentQuestion } from "../../hub/agent-deeds.ts";
import type { ApiEnv } from "../kit/env.ts";
import { type Guards, keyOf } from "../kit/found.ts";
import { NO_LIST, softAnswer } from "./soft.ts";

/** An agent may ask its vendor first. */
const WITHIN = { timeoutMs: 120_000 };

interface SessionList extends AgentQuestion {
  readonly path: string;
}

const only = (agent: string, what = "models") => `${agent} ${what} are only available for ${agent} sessions`;

const OF_SESSION: readonly SessionList[] = [
  { path: "codex-models", method: "listCodexModels", flavours: ["codex"], isNot: only("Codex") },
  { path: "opencode-models", method: "listOpencodeModels", flavours: ["opencode"], isNot: only("OpenCode") },
  {
    path: "opencode-reasoning-effort-options",
    method: "listOpencodeReasoningEffortOptions",
    flavours: ["opencode"],
    isNot: only("OpenCode", "reasoning effort options"),
  },
  { path: "grok-models", method: "listGrokModels", flavours: ["grok"], isNot: only("Grok") },
  {
    path: "grok-reasoning-effort-options",
    method: "listGrokReasoningEffortOptions",
    flavours: ["grok"],
    isNot: only("Grok", "effort options"),
  },
  { path: "copilot-models", method: "listCopilotModels", flavours: ["copilot"], isNot: only("Copilot") },
  { path: "cursor-models", method: "listCursorModels", flavours: ["cursor"], isNot: only("Cursor") },
  { path: "pi-models", method: "listPiModels", flavours: ["pi"], isNot: "Not a Pi session" },
];

type Query = (name: string) => string | undefined;

interface MachineList {
  readonly path: string;
  readonly method: string;
  /** Of the query; undefined when it lacks the folder. */
  readonly params: (query: Query) => object | undefined;
  /** Clients tell a runner that has no such function from one that failed. */
  readonly tellsMissing?: true;
}

const nothing = () => ({});
const folder = (query: Query) => {
  const cwd = query("cwd")?.trim();
  return cwd === undefined || cwd === "" ? undefined : { cwd };
};

const OF_MACHINE: readonly MachineList[] = [
  {
    path: "agy-models",
    method: "listAgyModels",
    params: (query) => ({ refresh: query("refresh") === "true" }),
  },
  { path: "pi-models", method: "listPiModelsForMachine", params: nothing, tellsMissing: true },
  { path: "codex-models", method: "listCodexModels", params: nothing, tellsMissing: true },
  { path: "opencode-models", method: "listOpencodeModelsForCwd", params: folder },
  {
    path: "opencode-model-variants",
    method: "listOpencodeModelVariants",
    params: (query) => ({ cwd: query("cwd") || null }),
    tellsMissing: true,
  },
  { path: "grok-models", method: "listGrokModelsForCwd", params: folder },
  { path: "copilot-models", method: "listCopilotModelsForCwd", params: folder },
  { path: "cursor-models", method: "listCursorModels", params: nothing },
];

const NO_FOLDER = { success: false, error: "cwd query parameter is required" };

export function pickerRoutes(
  { hub: { agents, spawning } }: Pick<HapiContext, "hub">,
  { machine }: Guards,
): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  for (const { path, ...question } of OF_SESSION) {
    app.get(`/api/sessions/:id/${path}`, async (c) =>
      softAnswer(await agents.ask(keyOf(c), { ...question, ...WITHIN }), NO_LIST),
    );
  }
  for (const { path, method, params, tellsMissing } of OF_MACHINE) {
    app.get(`/api/machines/:id/${path}`, machine, async (c) => {
      const wanted = params((name) => c.req.query(name));
      if (wanted === undefined) return c.json(NO_FOLDER, 400);
      const { key } = c.var;
      const called = await spawning.call(key, method, wanted, WITHIN);
      if (tellsMissing && !called.ok && called.error === `RPC handler not registered: ${key.id}:${method}`) {
        return c.json({ success: false, error: called.error, code: "rpc_target_missing" }, 503);
      }
      return softAnswer(called, NO_LIST);
    });
  }
  return app;
}
