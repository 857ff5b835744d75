// Settings that only some agents have (HTTP contract, C5): a table, and one handler.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { AgentSetting } from "../../hub/agent-deeds.ts";
import type { SessionConfig } from "../../hub/config.ts";
import type { ApiEnv } from "../kit/env.ts";
import type { Guards } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";
import { validBody } from "../kit/input.ts";
import { collaborationMode, copilotAgentMode, serviceTier, word } from "../kit/words.ts";
import { CLI_CONFLICT } from "../session-config.ts";

interface Route extends AgentSetting {
  readonly path: string;
  readonly body: z.ZodType<SessionConfig>;
}

const ROUTES: readonly Route[] = [
  {
    path: "collaboration-mode",
    body: z.object({ mode: collaborationMode }).transform(({ mode }) => ({ collaborationMode: mode })),
    flavours: ["codex"],
    isNot: "Collaboration mode is only supported for Codex sessions",
    isLocal: "Collaboration mode can only be changed for remote Codex sessions",
  },
  {
    path: "service-tier",
    body: z.object({ serviceTier }),
    flavours: ["codex"],
    isNot: "Fast mode is only supported for Codex sessions",
    isLocal: "Fast mode can only be changed for remote sessions",
  },
  {
    path: "model-reasoning-effort",
    body: z.object({ modelReasoningEffort: word.trim().min(1).nullable() }),
    flavours: ["codex", "opencode"],
    isNot: "Model reasoning effort is only supported for Codex and OpenCode sessions",
    isLocal: "Model reasoning effort can only be changed for remote sessions",
  },
  {
    path: "copilot-agent-mode",
    body: z.object({ mode: copilotAgentMode }).transform(({ mode }) => ({ copilotAgentMode: mode })),
    flavours: ["copilot"],
    isNot: "Copilot agent mode is only supported for Copilot sessions",
  },
];

export function agentSettingRoutes({ hub: { agents } }: Pick<HapiContext, "hub">, { active }: Guards) {
  const app = new Hono<ApiEnv>();
  for (const { path, body, ...setting } of ROUTES) {
    app.post(`/api/sessions/:id/${path}`, active, async (c) => {
      granted(await agents.has(c.var.key, setting));
      const change = await validBody(c, body);
      granted(await agents.set(c.var.key, setting, change), CLI_CONFLICT);
      return c.json({ ok: true });
    });
  }
  return app;
}
