// Restarting a runner that something watches over (HTTP contract, C5): it is asked to stop, and comes back by itself. One that nobody
// watches over is left alone, since its machine would be gone.
import { Hono } from "hono";
import type { HapiContext } from "../../context.ts";
import { errorOf } from "../../hub/cli-call.ts";
import type { Result } from "../../hub/result.ts";
import { machineMetadataView } from "../../wire/machine.ts";
import type { ApiEnv } from "../kit/env.ts";
import { Refused } from "../kit/failure.ts";
import { keyOf } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";

const UNSUPERVISED =
  "Restart requires a supervised runner (HAPI_RUNNER_SUPERVISED=1); unsupervised stop would leave the host offline";

export function restartRunnerRoutes({ hub: { machines, spawning } }: Pick<HapiContext, "hub">) {
  return new Hono<ApiEnv>().post("/api/machines/:id/restart-runner", async (c) => {
    const key = keyOf(c);
    const { row, isActive } = granted(await machines.find(key));
    if (!isActive) throw new Refused(503, "Machine is offline", { code: "machine_offline" });
    if (machineMetadataView(row.metadata)?.supervisedRestart !== true)
      throw new Refused(502, UNSUPERVISED, { code: "restart_unsupported" });
    const problem = whyNot(await spawning.call(key, "stop-runner", {}));
    if (problem !== undefined) throw new Refused(502, problem, { code: "restart_failed" });
    return c.json({ message: "Runner stop requested; supervisor will relaunch" });
  });
}

const whyNot = (called: Result<{ readonly answer: unknown }>): string | undefined =>
  called.ok ? errorOf(called.answer) : called.error;
