// Machines as their runners register them (HTTP contract, A10).
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { CliEnv } from "./kit/env.ts";
import { keyOf } from "./kit/found.ts";
import { granted } from "./kit/granted.ts";
import { validBody } from "./kit/input.ts";
import { id } from "./kit/words.ts";

/** Also within the body of a session. */
export const machineBody = z.object({
  id,
  // May be null, and must be there.
  metadata: z.unknown(),
  runnerState: z.unknown().optional(),
});

export function cliMachineRoutes({ hub: { machines } }: Pick<HapiContext, "hub">) {
  return new Hono<CliEnv>()
    .post("/cli/machines", async (c) => {
      const wanted = await validBody(c, machineBody);
      const { machine } = granted(await machines.register({ namespace: c.var.claims.ns, ...wanted }));
      return c.json({ machine });
    })
    .get("/cli/machines/:id", async (c) => {
      const { machine } = granted(await machines.view(keyOf(c)));
      return c.json({ machine });
    });
}
