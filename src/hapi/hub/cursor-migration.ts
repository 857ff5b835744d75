// Moving a Cursor session from its old chat store to ACP (hapi-probed, "Cursor migration"). The released hub rewrites files of Cursor's on
// its own host. This one opens no file of an agent's: it says why a session cannot be moved, as far as the session's own machine knows.
import type { SessionKey } from "../store/rows.ts";
import { flavourOf } from "../wire/flavours.ts";
import { textAt } from "../wire/shape.ts";
import type { HubCore } from "./core.ts";
import { cursorStore } from "./cursor-store.ts";
import { denial, type Result } from "./result.ts";

export interface NotMigrated {
  readonly reason:
    | "not_cursor_session"
    | "already_acp"
    | "no_cursor_session_id"
    | "running_refused"
    | "cross_host_session"
    | "no_legacy_store_on_disk"
    | "migration_failed";
  readonly message: string;
}

const no = (reason: NotMigrated["reason"], message: string) =>
  ({ ok: true, refused: { reason, message } }) as const;

const NOT_CURSOR = no("not_cursor_session", 'session.metadata.flavor must be "cursor"');
const ALREADY = no("already_acp", "session already runs over ACP; nothing to migrate");
const NO_ID = no("no_cursor_session_id", "session.metadata.cursorSessionId is missing");
const RUNNING = no("running_refused", "session is active; archive it first");
const NOT_HERE = no(
  "migration_failed",
  "This server does not open Cursor's chat stores. The session stays as it is: the released hub on the session's own host can migrate it",
);
const nobody = (host: string) =>
  no(
    "cross_host_session",
    `This server opens no files of agents, and no runner of host=${host} is there to be asked for the chat store`,
  );
const nothing = (id: string) =>
  no("no_legacy_store_on_disk", `No chat store of ${id} is on the session's host`);

export async function whyNotMigrated(
  core: HubCore,
  key: SessionKey,
): Promise<Result<{ readonly refused: NotMigrated }>> {
  const row = await core.store.findSession(key);
  if (typeof row === "string") return denial("session", row);
  const of = (name: string) => textAt(row.metadata, name);
  if (flavourOf(row.metadata) !== "cursor") return NOT_CURSOR;
  if (of("cursorSessionProtocol") === "acp") return ALREADY;
  const id = of("cursorSessionId");
  if (!id) return NO_ID;
  if (core.isActive(key.id)) return RUNNING;
  const found = await cursorStore(core, key);
  if (!found.ok) return found.code === "no-machine" ? nobody(of("host") ?? "unknown") : NOT_HERE;
  if (!found.onDisk) return nothing(id);
  return found.store === "acp" ? ALREADY : NOT_HERE;
}
