// GET /api/events and POST /api/visibility (HTTP contract, B1 and B7). Who asks is known by then; what they may see is said
// by the functions that are handed in.
import { Hono } from "hono";
import { z } from "zod";
import type { BearerEnv } from "../../http/bearer.ts";
import { BodyRefused } from "../../http/request-body.ts";
import { later } from "../../http/retry-after.ts";
import type { Broadcaster } from "./broadcaster.ts";

/** What the web token says, as far as events need it. */
export interface EventClaims {
  readonly ns: string;
}

export type EventsEnv = BearerEnv<EventClaims>;

/** `unknown`: there is none of the id; `denied`: it is another namespace's. */
export type Access = "granted" | "unknown" | "denied";

export interface EventRoutesParts {
  readonly events: Broadcaster;
  /** By which limits know who asks. */
  readonly accountOf: (claims: EventClaims) => string;
  readonly session: (namespace: string, id: string) => Promise<Access>;
  readonly machine: (namespace: string, id: string) => Promise<Access>;
}

const visibilityBody = z.object({
  subscriptionId: z.string().min(1),
  visibility: z.enum(["visible", "hidden"]),
});

const FULL_MS = 10_000;

/** To be mounted behind the body budget and the bearer of `/api`, which for events also takes a token from the address (A2). */
export function eventRoutes({ events, accountOf, session, machine }: EventRoutesParts) {
  return new Hono<EventsEnv>()
    .get("/api/events", async (c) => {
      const { claims } = c.var;
      const { ns: namespace } = claims;
      const sessionId = given(c.req.query("sessionId"));
      const machineId = given(c.req.query("machineId"));
      const refusal =
        refused("Session", sessionId === undefined ? "granted" : await session(namespace, sessionId)) ??
        refused("Machine", machineId === undefined ? "granted" : await machine(namespace, machineId));
      if (refusal !== undefined) return refusal;
      const all = c.req.query("all");
      const answer = events.open(c.req.raw, {
        namespace,
        account: accountOf(claims),
        all: all === "true" || all === "1",
        sessionId,
        machineId,
        isVisible: c.req.query("visibility") === "visible",
        cursor: c.req.header("last-event-id") || c.req.query("lastEventId"),
        facts: c.env,
      });
      return answer ?? later(Response.json({ error: "Too many event streams" }, { status: 503 }), FULL_MS);
    })
    .post("/api/visibility", async (c) => {
      const body = visibilityBody.safeParse(await c.var.body.json().catch(nothing));
      if (!body.success) return Response.json({ error: "Invalid body" }, { status: 400 });
      const { subscriptionId, visibility } = body.data;
      if (events.show(c.var.claims.ns, subscriptionId, visibility === "visible"))
        return Response.json({ ok: true });
      return Response.json({ error: "Subscription not found" }, { status: 404 });
    });
}

const given = (text: string | undefined) => text?.trim() || undefined;

function refused(what: "Session" | "Machine", access: Access): Response | undefined {
  if (access === "granted") return undefined;
  return access === "unknown"
    ? Response.json({ error: `${what} not found` }, { status: 404 })
    : Response.json({ error: `${what} access denied` }, { status: 403 });
}

/** A body that is no JSON counts as none (section 1); what is too large is refused as everywhere. */
function nothing(error: unknown): undefined {
  if (error instanceof BodyRefused && NO_JSON.has(error.code)) return undefined;
  throw error;
}

const NO_JSON: ReadonlySet<string> = new Set(["not-json", "not-utf8", "too-deep"]);
