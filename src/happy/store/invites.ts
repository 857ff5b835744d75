// Invite codes: valid for a time and a number of new accounts, kept as hashes. One use is taken in the operation that makes the account.
// Their time is steady (storage/steady-time.ts), so that a correction of the clock neither ends nor prolongs one; what a changed
// clock means over a restart is in `settleInvites`. One that is over is deleted as soon as that is noticed and never comes back.
import { createHash } from "node:crypto";
import { and, eq, gt, lte, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { randomAlphanumeric } from "../../storage/ids.ts";
import type { Db } from "../../storage/query.ts";
import { steadyNow } from "../../storage/steady-time.ts";
import { invites } from "./schema.ts";

/** 119 bits: nobody guesses one. */
const CODE_LENGTH = 20;

export interface Invite {
  readonly code: string;
  /** By the wall clock, for the person who passes it on. */
  readonly expiresAt: number;
}

/** Makes a code that admits `uses` new accounts within `forMs`. */
export function createInvite(
  { writer }: Database,
  uses: number,
  forMs: number,
  now: number = steadyNow(),
): Promise<Invite> {
  return writer.run((db) => {
    const code = randomAlphanumeric(CODE_LENGTH);
    deleteOver(db, now);
    db.insert(invites)
      .values({ codeHash: hashOf(code), usesLeft: uses, expiresAt: now + forMs, createdAt: now })
      .run();
    return { code, expiresAt: Date.now() + forMs };
  });
}

/** Takes one use. False when the code is unknown, over or used up. For use inside an operation. */
export function takeInvite(db: Db, code: string, now: number): boolean {
  // Noticed now: it must not come back with the clock.
  deleteOver(db, now);
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

/**
 * At a start, and before a command works on a folder that no server runs on. An invite that was made in the future was made by a clock
 * that was ahead: it counts as made now, and has its whole time. One whose time is over is deleted, whichever clock was wrong: the
 * person makes another.
 */
export function settleInvites({ writer }: Database, now: number = steadyNow()): Promise<void> {
  return writer.run((db) => {
    db.update(invites)
      .set({ expiresAt: sql`${now} + ${invites.expiresAt} - ${invites.createdAt}`, createdAt: now })
      .where(gt(invites.createdAt, now))
      .run();
    deleteOver(db, now);
  });
}

function deleteOver(db: Db, now: number): void {
  db.delete(invites).where(lte(invites.expiresAt, now)).run();
}

const hashOf = (code: string) => createHash("sha256").update(code).digest();
