// Sessions over HTTP (HTTP contract 6.1 to 6.4, 6.6, 6.7, and the additive PUT of 17).
import { z } from "zod";
import { identifier } from "../../limits/identifier.ts";
import { versioned } from "../../storage/versioned.ts";
import { userScoped } from "../audience.ts";
import { announceSessionChange } from "../session-announcements.ts";
import { decodeLenient } from "../wire/base64.ts";
import { deletedSession, newSession, sessionBody } from "../wire/updates.ts";
import { removeAttachments } from "./attachments.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { jsonLarge, jsonList } from "./kit/large.ts";

const LIST_LIMIT = 150;
const ACTIVE_WINDOW_MS = 15 * 60_000;
const CURSOR = "cursor_v1_";

export const limitOf = (maximum: number, otherwise: number) =>
  z.coerce.number().int().min(1).max(maximum).default(otherwise);

const list = endpoint(
  { method: "GET", path: "/v1/sessions", auth: "bearer" },
  async ({ context, account }) => {
    const list = await context.store.listSessions(account, LIST_LIMIT);
    return jsonList(context, "sessions", list, (row) => ({ ...sessionBody(row), lastMessage: null }));
  },
);

const listActive = endpoint(
  {
    method: "GET",
    path: "/v2/sessions/active",
    auth: "bearer",
    query: z.object({ limit: limitOf(500, 150) }),
  },
  async ({ context, account, query }) => {
    const list = await context.store.listActiveSessions(account, Date.now() - ACTIVE_WINDOW_MS, query.limit);
    return jsonList(context, "sessions", list, sessionBody);
  },
);

const page = endpoint(
  {
    method: "GET",
    path: "/v2/sessions",
    auth: "bearer",
    query: z.object({
      cursor: z.string().optional(),
      limit: limitOf(200, 50),
      changedSince: z.coerce.number().int().positive().optional(),
    }),
  },
  async ({ context, account, query: { cursor, limit, changedSince } }) => {
    if (cursor && !cursor.startsWith(CURSOR)) return refusal(400, "Invalid cursor format");
    // An empty cursor, or the bare prefix, means the start.
    const beforeId = cursor?.slice(CURSOR.length) || undefined;
    const list = await context.store.pageSessions(account, { limit, beforeId, changedSince });
    const nextCursor = list.hasMore ? `${CURSOR}${list.lastId}` : null;
    return jsonList(context, "sessions", list, sessionBody, { nextCursor, hasNext: list.hasMore });
  },
);

const open = endpoint(
  {
    method: "POST",
    path: "/v1/sessions",
    auth: "bearer",
    body: z.object({
      tag: identifier,
      metadata: z.string(),
      // Accepted and not used: the CLI sends the state again over its socket (HTTP contract 20, defect 10).
      agentState: z.string().nullish(),
      dataEncryptionKey: z.string().nullish(),
    }),
  },
  async ({ context, account, body }) => {
    const dataEncryptionKey = body.dataEncryptionKey ? decodeLenient(body.dataEncryptionKey) : null;
    const session = { tag: body.tag, metadata: body.metadata, dataEncryptionKey };
    const { row } = await context.store.openSession(account, session, (opened) => {
      // Here and not after the wait: whoever archives it meanwhile has the last word.
      if (opened.updateSeq === undefined) context.presence.lift(account, opened.row.id);
      else {
        context.publisher.update(userScoped(account), opened.updateSeq, newSession(opened.row));
        context.presence.madeActive("session", account, opened.row.id);
      }
    });
    const stored = (await context.store.findLightSession(row.pk)) ?? row;
    return jsonLarge(context, { session: { ...sessionBody(stored), lastMessage: null } });
  },
);

/** The process's own end, not a person's wish (realtime contract, decisions). */
const isOwnEnd = ({ headers }: Request) => headers.get("x-happy-client")?.startsWith("cli-") === true;

const archive = endpoint(
  {
    method: "POST",
    path: "/v1/sessions/:sessionId/archive",
    auth: "bearer",
    params: z.object({ sessionId: z.string() }),
  },
  async ({ context, account, request, params: { sessionId } }) => {
    const ended = isOwnEnd(request)
      ? await context.presence.end(account, sessionId, Date.now())
      : await context.presence.archive(account, sessionId);
    return ended ? json({ success: true }) : refusal(404, "Session not found");
  },
);

const remove = endpoint(
  {
    method: "DELETE",
    path: "/v1/sessions/:sessionId",
    auth: "bearer",
    params: z.object({ sessionId: z.string() }),
  },
  async ({ context, account, params: { sessionId } }) => {
    const deleted = await context.store.deleteSession(account, sessionId, (seq) => {
      context.presence.suppress(account, sessionId);
      context.publisher.update(userScoped(account), seq, deletedSession(sessionId));
    });
    if (!deleted) return refusal(404, "Session not found or not owned by user");
    await removeAttachments(context, sessionId);
    return json({ success: true });
  },
);

const version = z.int().min(0);

const change = endpoint(
  {
    method: "PUT",
    path: "/v1/sessions/:sessionId",
    auth: "bearer",
    params: z.object({ sessionId: z.string() }),
    body: z.object({
      metadata: z.string().optional(),
      expectedMetadataVersion: version.optional(),
      agentState: z.string().nullable().optional(),
      expectedAgentStateVersion: version.optional(),
    }),
  },
  async ({ context, account, params: { sessionId }, body }) => {
    const { metadata, expectedMetadataVersion, agentState, expectedAgentStateVersion } = body;
    const parts = {
      metadata: versioned(metadata, expectedMetadataVersion),
      agentState: versioned(agentState, expectedAgentStateVersion),
    };
    const announce = announceSessionChange(context, account, sessionId, parts);
    const result = await context.store.changeSession(account, sessionId, parts, announce);
    if (result.kind === "missing") return refusal(404, "Session not found");
    if (result.kind === "mismatch") {
      const row = (await context.store.findLightSession(result.row.pk)) ?? result.row;
      return jsonLarge(context, {
        success: false,
        error: "version-mismatch",
        ...(result.metadata && {
          currentMetadataVersion: row.metadataVersion,
          currentMetadata: row.metadata,
        }),
        ...(result.agentState && {
          currentAgentStateVersion: row.agentStateVersion,
          currentAgentState: row.agentState,
        }),
      });
    }
    return json({
      success: true,
      ...(parts.metadata && { metadataVersion: parts.metadata.expectedVersion + 1 }),
      ...(parts.agentState && { agentStateVersion: parts.agentState.expectedVersion + 1 }),
    });
  },
);

export const sessionEndpoints: readonly Endpoint[] = [list, listActive, page, open, archive, remove, change];
