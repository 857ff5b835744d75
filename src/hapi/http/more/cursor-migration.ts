// Moving a Cursor session to ACP, asked for by a person or by its CLI (HTTP contract, C5): both hear why it is not done.
import { Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import { type NotMigrated, whyNotMigrated } from "../../hub/cursor-migration.ts";
import type { FoundEnv, Guards } from "../kit/found.ts";
import { granted } from "../kit/granted.ts";
import { validJsonBody } from "../kit/input.ts";

const STATUS: Readonly<Record<NotMigrated["reason"], number>> = {
  not_cursor_session: 409,
  already_acp: 409,
  no_cursor_session_id: 409,
  running_refused: 409,
  cross_host_session: 500,
  no_legacy_store_on_disk: 404,
  migration_failed: 500,
};

export function cursorMigrationRoutes(
  { hub: { core } }: Pick<HapiContext, "hub">,
  { session }: Guards,
  root: "/api" | "/cli",
) {
  return new Hono<FoundEnv>().post(`${root}/sessions/:id/migrate-to-acp`, session, async (c) => {
    // How to go about it is for a hub that does it.
    await validJsonBody(c, z.looseObject({}));
    const begun = core.steady();
    const { refused } = granted(await whyNotMigrated(core, c.var.key));
    const durationMs = Math.round(core.steady() - begun);
    return Response.json(
      { ok: false, sessionId: c.var.key.id, ...refused, durationMs },
      { status: STATUS[refused.reason] },
    );
  });
}
