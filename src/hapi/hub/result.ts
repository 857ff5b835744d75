// What a deed of the hub comes to: what was asked for, or why not, as a code. `error` is the text that clients show or compare; whose
// door it is gives the code its status.
import type { Denied } from "../store/rows.ts";
import type { Scope } from "../wire/errors.ts";

export type RefusalCode =
  | Denied
  | "inactive"
  | "active"
  | "invalid"
  | "unsupported"
  | "conflict"
  | "request-not-found"
  /** The CLI could not be asked, or it said no. */
  | "cli"
  /** Too much waits for CLIs already. */
  | "busy"
  | "no-machine"
  /** It was asked, and its runner says that it could not. */
  | "runner-refused"
  | "upgrade-required"
  | "resume-unavailable"
  | "resume-failed"
  | "incomplete"
  | "clear-unavailable"
  | "link-failed"
  | "spawn-failed"
  | "already-local"
  | "not-applicable";

export interface Refusal {
  readonly ok: false;
  readonly code: RefusalCode;
  readonly error: string;
  /** Of the metadata, without which it cannot be done. */
  readonly missing?: readonly string[] | undefined;
  /** By field, of something that is invalid. */
  readonly fieldErrors?: Readonly<Record<string, readonly string[]>> | undefined;
}

export type Result<T extends object = object> = ({ readonly ok: true } & T) | Refusal;

export const refusal = (code: RefusalCode, error: string): Refusal => ({ ok: false, code, error });

export const DONE = { ok: true } as const;

const NAMES: Readonly<Record<Scope, string>> = { session: "Session", machine: "Machine" };

export const denial = (scope: Scope, denied: Denied): Refusal =>
  refusal(denied, `${NAMES[scope]} ${denied === "not-found" ? "not found" : "access denied"}`);

export const INACTIVE: Refusal = refusal("inactive", "Session is inactive");
