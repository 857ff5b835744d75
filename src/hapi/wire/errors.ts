// What a CLI socket is told when it names a session or machine that is not its own (hapi-socket 5).
import type { Denied } from "../store/rows.ts";

export type Scope = "session" | "machine";

export interface AccessError {
  readonly message: string;
  readonly code: Denied;
  readonly scope: Scope;
  readonly id: string;
}

export const accessError = (scope: Scope, id: string, code: Denied): AccessError => ({
  message: `${scope} ${code === "not-found" ? "not found" : "access denied"}`,
  code,
  scope,
  id,
});
