// What a deed of the hub comes to, as HTTP says it (HTTP contract, A5, E1 and E2): the status and the code of each refusal.
import { denial, type Refusal, type RefusalCode, type Result } from "../../hub/result.ts";
import type { Access } from "../../store/rows.ts";
import { Refused } from "./failure.ts";

interface Said {
  readonly status: number;
  /** Absent where clients know only the text. */
  readonly code?: string;
}

const SAID: Readonly<Record<RefusalCode, Said>> = {
  "not-found": { status: 404 },
  "access-denied": { status: 403 },
  inactive: { status: 409, code: "session_inactive" },
  active: { status: 409 },
  invalid: { status: 400 },
  unsupported: { status: 400 },
  conflict: { status: 409 },
  "request-not-found": { status: 404 },
  cli: { status: 500 },
  busy: { status: 503 },
  "no-machine": { status: 503, code: "no_machine_online" },
  "runner-refused": { status: 503 },
  "upgrade-required": { status: 409, code: "runner_upgrade_required" },
  "resume-unavailable": { status: 409, code: "resume_unavailable" },
  incomplete: { status: 422 },
  "resume-failed": { status: 500, code: "resume_failed" },
  "clear-unavailable": { status: 409, code: "clear_unavailable" },
  "link-failed": { status: 500, code: "replacement_link_failed" },
  "spawn-failed": { status: 500, code: "spawn_failed" },
  "already-local": { status: 409, code: "already_local" },
  "not-applicable": { status: 409, code: "control_mode_not_applicable" },
};

/** Where a route says it in another way. */
export type Otherwise = Partial<Readonly<Record<RefusalCode, Said>>>;

/** @throws Refused where it was refused */
export function granted<T extends object>(result: Result<T>, otherwise: Otherwise = {}): T {
  if (result.ok) return result;
  throw refused(result, otherwise);
}

/** What the store was asked for a session. @throws Refused where the namespace has none such */
export function sessionsOwn<T extends object>(found: Access<T>): T {
  if (typeof found === "string") throw refused(denial("session", found), {});
  return found;
}

export function refused({ code, error, fieldErrors, missing }: Refusal, otherwise: Otherwise = {}): Refused {
  const said = otherwise[code] ?? SAID[code];
  const issues = fieldErrors === undefined ? undefined : { formErrors: [], fieldErrors };
  return new Refused(said.status, error, { code: said.code, issues, missing });
}

/** Who is not let in hears so; every other refusal is an answer of this shape (HTTP contract, E1). */
export function unsuccessful({ code, error }: Refusal): { readonly success: false; readonly error: string } {
  if (code === "not-found" || code === "access-denied") throw new Refused(SAID[code].status, error);
  return { success: false, error };
}
