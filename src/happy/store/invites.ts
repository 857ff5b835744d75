// Invite codes: valid for a time and a number of new accounts, kept as hashes. One use is taken in the operation that makes the account.
import { createHash } from "node:crypto";
import { and, eq, gt, lt, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { randomAlphanumeric } from "../../storage/ids.ts";
import type { Db } from "../../storage/query.ts";
import { invites } from "./schema.ts";

/** 119 bits: nobody guesses one. */
const CODE_LENGTH = 20;

export interface Invite {
  readonly code: string;
  readonly expiresAt: number;
}

/** Makes a code that admits `uses` new accounts within `forMs`. */
export function createInvite({ writer }: Database, uses: number, forMs: number): Promise<Invite> {
  return writer.run((db) => {
    const now = Date.now();
    const code = randomAlphanumeric(CODE_LENGTH);
    const expiresAt = now + forMs;
    db.delete(invites).where(lt(invites.expiresAt, now)).run();
    db.insert(invites)
      .values({ codeHash: hashOf(code), usesLeft: uses, expiresAt, createdAt: now })
      .run();
    return { code, expiresAt };
  });
}

/** Takes one use. False when the code is unknown, expired or used up. For use inside an operation. */
export function takeInvite(db: Db, code: string, now: number): boolean {
  const valid = and(eq(invites.codeHash, hashOf(code)), gt(invites.expiresAt, now), gt(invites.usesLeft, 0));
  return (
    db
      .update(invites)
      .set({ usesLeft: sql`${invites.usesLeft} - 1` })
      .where(valid)
      .returning({ left: invites.usesLeft })
      .get() !== undefined
  );
}

const hashOf = (code: string) => createHash("sha256").update(code).digest();
