// Who may make an account, decided in the operation that makes it, so that two keys cannot both be the first and no invite is used
// twice. An account that exists always signs in, unless it is disabled. A key that a person refused stays out in every mode, with an
// invite too, until a person approves it.
import { eq } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import type { Db } from "../../storage/query.ts";
import { steadyNow } from "../../storage/steady-time.ts";
import type { HappyConfig } from "../settings.ts";
import { findOrCreateAccount } from "./accounts.ts";
import { takeInvite } from "./invites.ts";
import { accounts } from "./schema.ts";
import { forgetKey, isRefused, noteRefused, noteWaiting, theOne } from "./waiting-keys.ts";

/** What decides about a key besides the key itself. */
export interface AdmissionRules {
  readonly registration: HappyConfig["happyRegistration"];
  /** The code in the address that the client uses. */
  readonly invite: string | undefined;
  /** What the client calls itself; a label for the person who approves. */
  readonly client: string;
  /** Where the client is, as limits count it. */
  readonly network: string;
}

export type Admission =
  | { readonly kind: "admitted"; readonly account: string }
  | { readonly kind: "disabled"; readonly account: string }
  | { readonly kind: "waiting" | "uninvited" | "refused"; readonly fingerprint: string }
  | { readonly kind: "closed" };

/** The account of a key (uppercase hex), made when the rules admit it. For use inside an operation. */
export function admit(db: Db, publicKey: string, rules: AdmissionRules): Admission {
  const known = db
    .select({ id: accounts.id, disabledAt: accounts.disabledAt })
    .from(accounts)
    .where(eq(accounts.publicKey, publicKey))
    .get();
  if (known !== undefined) {
    if (known.disabledAt !== null) return { kind: "disabled", account: known.id };
    return { kind: "admitted", account: findOrCreateAccount(db, publicKey).account };
  }
  const { registration, invite, client, network } = rules;
  const sighted = { publicKey, client, network, now: Date.now() };
  if (registration === "closed") return { kind: "closed" };
  if (isRefused(db, publicKey)) return { kind: "refused", fingerprint: noteRefused(db, sighted) };
  const isFirst = !hasAccounts(db);
  const admitted =
    registration === "open" ||
    (registration === "claim" && isFirst) ||
    (invite !== undefined && takeInvite(db, invite, steadyNow()));
  if (admitted) return { kind: "admitted", account: makeAccount(db, publicKey, isFirst) };
  const fingerprint = noteWaiting(db, sighted);
  return { kind: registration === "claim" ? "waiting" : "uninvited", fingerprint };
}

function hasAccounts(db: Db): boolean {
  return db.select({ pk: accounts.pk }).from(accounts).limit(1).get() !== undefined;
}

function makeAccount(db: Db, publicKey: string, isOwner: boolean): string {
  const { account } = findOrCreateAccount(db, publicKey);
  if (isOwner) db.update(accounts).set({ isOwner }).where(eq(accounts.id, account)).run();
  forgetKey(db, publicKey);
  return account;
}

/** Makes the account of a waiting or refused key, which then signs in. Undefined when no key has this fingerprint, or more than one. */
export function approveKey({ writer }: Database, fingerprint: string): Promise<string | undefined> {
  return writer.run((db) => {
    const key = theOne(db, fingerprint);
    return key === undefined ? undefined : makeAccount(db, key, !hasAccounts(db));
  });
}
