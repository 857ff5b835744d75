// The wire body of `update-account` (realtime contract 7.5), pure: parts that did not change are omitted, never null.
import type { Avatar, githubBody } from "./profile.ts";
import type { UpdateBody } from "./updates.ts";

export interface AccountParts {
  readonly settings?: { readonly value: string | null; readonly version: number };
  readonly firstName?: string | null;
  readonly lastName?: string | null;
  readonly username?: string | null;
  readonly github?: ReturnType<typeof githubBody>;
  readonly avatar?: Avatar & { readonly url: string };
}

/** `parts` holds exactly what changed. */
export const updatedAccount = (account: string, parts: AccountParts): UpdateBody => ({
  t: "update-account",
  id: account,
  ...parts,
});
