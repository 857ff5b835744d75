// The guards of the routes (HTTP contract, A5): a session that the namespace has, one that is at work, a machine. They stand before the
// body is looked at; a route that reads none leaves the same refusal to its deed.
import { createMiddleware } from "hono/factory";
import type { RequestBody } from "../../../http/request-body.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { Hub } from "../../hub/hub.ts";
import { INACTIVE } from "../../hub/result.ts";
import type { SessionKey } from "../../store/rows.ts";
import { granted } from "./granted.ts";

/** Of both surfaces: whose login or token it is. */
interface GuardedEnv {
  Bindings: RequestFacts;
  Variables: { body: RequestBody; claims: { readonly ns: string } };
}

export interface FoundEnv extends GuardedEnv {
  Variables: GuardedEnv["Variables"] & { key: SessionKey };
}

export type Guards = ReturnType<typeof guards>;

export function guards({ sessions, machines }: Pick<Hub, "sessions" | "machines">) {
  return {
    // Each sets `c.var.key`.
    session: createMiddleware<FoundEnv>(async (c, next) => {
      const key = keyOf(c);
      granted(await sessions.standing(key));
      c.set("key", key);
      await next();
    }),
    active: createMiddleware<FoundEnv>(async (c, next) => {
      const key = keyOf(c);
      if (!granted(await sessions.standing(key)).isActive) granted(INACTIVE);
      c.set("key", key);
      await next();
    }),
    machine: createMiddleware<FoundEnv>(async (c, next) => {
      const key = keyOf(c);
      granted(await machines.find(key));
      c.set("key", key);
      await next();
    }),
  } as const;
}

/** What `:id` of the path names, as the namespace's. Not looked up: for a deed that does. */
export const keyOf = (c: {
  readonly var: GuardedEnv["Variables"];
  readonly req: { param(name: "id"): string | undefined };
}): SessionKey => ({ namespace: c.var.claims.ns, id: c.req.param("id") ?? "" });
