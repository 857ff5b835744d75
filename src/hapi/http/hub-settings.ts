// What the hub's owner sets for all of its web clients and CLIs (HTTP contract, C3). The owner is who has the token without a namespace.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "./kit/env.ts";
import { Refused } from "./kit/failure.ts";
import { validBody } from "./kit/input.ts";

const OWNER = "default";

const settingsBody = z
  .object({ sessionSummaryContract: z.boolean().optional(), sessionSummaryInChat: z.boolean().optional() })
  .refine((given) => Object.values(given).some((value) => value !== undefined));

export function hubSettingsRoutes({ hubSettings }: Pick<HapiContext, "hubSettings">) {
  return new Hono<ApiEnv>()
    .get("/api/hub-settings", () => answer(hubSettings))
    .put("/api/hub-settings", async (c) => {
      if (c.var.claims.ns !== OWNER)
        throw new Refused(403, "Hub settings are only available to the hub owner");
      await hubSettings.change(await validBody(c, settingsBody));
      return answer(hubSettings);
    });
}

const answer = ({ sessionSummaryContract, sessionSummaryInChat }: HapiContext["hubSettings"]): Response =>
  Response.json(
    { sessionSummaryContract, sessionSummaryInChat },
    { headers: { "cache-control": "no-store" } },
  );
