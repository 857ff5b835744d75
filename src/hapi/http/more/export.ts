// A session as one file to keep (HTTP contract, C5), written as its messages are read: it is never in memory as a whole.
import { Hono } from "hono";
import { type Pieces, piecesStream } from "../../../http/large-answer.ts";
import type { Rows } from "../../../storage/weighed-list.ts";
import type { HapiContext } from "../../context.ts";
import { denial } from "../../hub/result.ts";
import type { Access, MessageRow } from "../../store/rows.ts";
import { messageText } from "../../wire/message.ts";
import type { ApiEnv } from "../kit/env.ts";
import { keyOf } from "../kit/found.ts";
import { granted, refused } from "../kit/granted.ts";
import { noteView } from "./scratchlist.ts";

const SCHEMA_VERSION = 2;
/** From here a person is asked whether it is meant. */
const MANY_MESSAGES = 20_000;
const MAX_BYTES = 100 * 1024 * 1024;

export function exportRoutes(
  context: Pick<HapiContext, "hub" | "store" | "scratchlist" | "answers" | "log">,
) {
  const { hub, store, scratchlist } = context;
  return new Hono<ApiEnv>().get("/api/sessions/:id/export", async (c) => {
    const key = keyOf(c);
    const { session } = granted(await hub.sessions.view(key));
    const { count, bytes, messages } = there(await store.exportMessages(key));
    const { entries } = granted(await scratchlist.list(key));
    if (bytes > MAX_BYTES) {
      const error = "Session export exceeds the resource limit";
      const said = { count, estimatedBytes: bytes, maxBytes: MAX_BYTES };
      return c.json({ type: "too-large", error, code: "session_export_too_large", ...said }, 413);
    }
    if (count > MANY_MESSAGES && c.req.query("force") !== "true")
      return c.json({ type: "warning", count, limit: MANY_MESSAGES, estimatedBytes: bytes });
    const head = JSON.stringify({ schemaVersion: SCHEMA_VERSION, exportedAt: Date.now(), session }).slice(
      0,
      -1,
    );
    const end = `],"scratchlist":${JSON.stringify(entries.map(noteView))}}`;
    c.set("isStream", true);
    return new Response(piecesStream(context, piecesOf({ head, messages, end })), {
      headers: { "content-type": "application/json" },
    });
  });
}

interface ExportParts {
  readonly head: string;
  readonly messages: Rows<MessageRow>;
  /** From behind the last message. */
  readonly end: string;
}

/** It was there a moment ago. */
function there<T extends object>(found: Access<T>): T {
  if (typeof found === "string") throw refused(denial("session", found));
  return found;
}

async function* piecesOf({ head, messages, end }: ExportParts): Pieces {
  let before = `${head},"messages":[`;
  for await (const row of messages.rows) {
    yield `${before}${messageText(row)}`;
    before = ",";
  }
  yield before === "," ? end : `${before}${end}`;
}
