// The ledger of what happened (HTTP contract, C5): events of a namespace and how they hang together. Who did it is always traced to the
// hub's owner. Field names as they are stored are its clients' when they write, and in camel case when they read.
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { HapiContext } from "../../context.ts";
import type { WorkEvent, WorkLink } from "../../store/records.ts";
import { bodyOf } from "../kit/body.ts";
import type { ApiEnv } from "../kit/env.ts";
import { Refused } from "../kit/failure.ts";
import { valid } from "../kit/input.ts";

const NO_STORE = { "cache-control": "no-store" };
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 500;
const MAX_BYTES = 64 * 1024;

const text = (max: number) => z.string().min(1).max(max);
const name = text(128);
const ref = text(512);
const principal = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("human"), id: ref }),
  z.object({ kind: z.literal("agent"), id: ref, on_behalf_of: ref }),
  z.object({ kind: z.literal("service"), id: ref, on_behalf_of: ref }),
]);
const eventBody = z.object({
  source_kind: name,
  source_ref: ref,
  sink_kind: name.nullish(),
  sink_ref: ref.nullish(),
  event_type: name,
  summary: z.string().max(2_048).nullish(),
  payload_json: z.unknown().optional(),
  artifact_refs: z
    .array(z.looseObject({ kind: name }))
    .max(32)
    .default([]),
  tags: z.array(z.string().max(256)).max(32).default([]),
  related_session_id: ref.nullish(),
  related_event_id: ref.nullish(),
  provenance: ref.nullish(),
  idempotency_key: ref.nullish(),
  dedupe_key: ref.nullish(),
  confidence: z.number().nullish(),
  severity: name.nullish(),
  expires_at: z.int().nullish(),
  principal,
});
const linkBody = z.object({
  from_event_id: ref,
  to_event_id: ref,
  relation_type: name,
  metadata_json: z.unknown().optional(),
});
const WITH_ISSUES = { error: "Invalid body", hasIssues: true };

export function workGraphRoutes({ store, home }: Pick<HapiContext, "store" | "home">) {
  const owner = String(home.ownerId);
  const found = async (namespace: string, id: string): Promise<WorkEvent> => {
    const event = await store.findWorkEvent(namespace, id);
    if (event === undefined) throw new Refused(404, "Event not found");
    return event;
  };
  return new Hono<ApiEnv>()
    .post("/api/work-graph/events", async (c) => {
      const body = valid(eventBody, await smallBody(c), WITH_ISSUES);
      const { principal } = body;
      const person = principal.kind === "human" ? principal.id : principal.on_behalf_of;
      if (person !== owner) throw new Refused(403, "Principal must resolve to the authenticated hub owner");
      const { kind, event } = await store.appendWorkEvent(eventOf(c.var.claims.ns, body));
      return c.json({ event: eventView(event), inserted: kind === "stored" }, kind === "stored" ? 201 : 200);
    })
    .get("/api/work-graph/events", async (c) => {
      const relatedSessionId = c.req.query("related_session_id");
      if (!relatedSessionId) throw new Refused(400, "related_session_id query parameter is required");
      const limit = limitOf(c.req.query("limit"));
      const events = await store.listWorkEvents(c.var.claims.ns, { relatedSessionId, limit });
      return c.json({ events: events.map(eventView) }, 200, NO_STORE);
    })
    .get("/api/work-graph/events/:eventId", async (c) => {
      const event = await found(c.var.claims.ns, c.req.param("eventId"));
      return c.json({ event: eventView(event) }, 200, NO_STORE);
    })
    .get("/api/work-graph/events/:eventId/links", async (c) => {
      const { id, namespace } = await found(c.var.claims.ns, c.req.param("eventId"));
      const links = await store.listWorkLinks(namespace, id);
      return c.json({ links: links.map(linkView) }, 200, NO_STORE);
    })
    .post("/api/work-graph/event-links", async (c) => {
      const body = valid(linkBody, await smallBody(c), WITH_ISSUES);
      const namespace = c.var.claims.ns;
      for (const end of ["from_event_id", "to_event_id"] as const)
        if ((await store.findWorkEvent(namespace, body[end])) === undefined)
          throw new Refused(404, `${end} not found in namespace`, { code: "not_found" });
      const link = await store.linkWorkEvents({
        namespace,
        fromEventId: body.from_event_id,
        toEventId: body.to_event_id,
        relationType: body.relation_type,
        metadata: body.metadata_json ?? null,
      });
      if (link === undefined) throw new Refused(404, "Event not found", { code: "not_found" });
      return c.json({ link: linkView(link) }, 201);
    });
}

const eventOf = (namespace: string, body: z.output<typeof eventBody>): Omit<WorkEvent, "id"> => ({
  namespace,
  ts: Date.now(),
  sourceKind: body.source_kind,
  sourceRef: body.source_ref,
  sinkKind: body.sink_kind ?? null,
  sinkRef: body.sink_ref ?? null,
  eventType: body.event_type,
  summary: body.summary ?? null,
  payload: body.payload_json ?? null,
  artifactRefs: body.artifact_refs,
  tags: body.tags,
  relatedSessionId: body.related_session_id ?? null,
  relatedEventId: body.related_event_id ?? null,
  provenance: body.provenance ?? null,
  idempotencyKey: body.idempotency_key ?? null,
  dedupeKey: body.dedupe_key ?? null,
  confidence: body.confidence ?? null,
  severity: body.severity ?? null,
  expiresAt: body.expires_at ?? null,
  principal: body.principal,
});

const eventView = ({ payload, namespace, principal, ...rest }: WorkEvent) => ({
  ...rest,
  payloadJson: payload ?? null,
  namespace,
  principal,
});

const linkView = ({ metadata, namespace, ...rest }: WorkLink) => ({
  ...rest,
  metadataJson: metadata ?? null,
  namespace,
});

function limitOf(given: string | undefined): number {
  if (given === undefined) return DEFAULT_LIMIT;
  const limit = Number(given);
  if (!Number.isInteger(limit) || limit < 1) throw new Refused(400, "Invalid limit");
  return Math.min(limit, MAX_LIMIT);
}

async function smallBody(c: Context<ApiEnv>): Promise<unknown> {
  const body = await bodyOf(c);
  if (Buffer.byteLength(JSON.stringify(body)) > MAX_BYTES) throw new Refused(413, "Request body too large");
  return body;
}
