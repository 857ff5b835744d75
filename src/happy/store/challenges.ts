// Sign-in by signed challenge. The same (key, challenge) is accepted again for 5 minutes after its first use, because a lost reply is
// retried; later it is a replay and refused (HTTP contract, decisions). Remembered as a hash, bounded in number. The 5 minutes are
// steady time (storage/steady-time.ts). Over a restart with a clock that was set back a first use can lie in the future: it is then
// of an earlier run, and its pair is refused like any old one. Clients make a new challenge each time.
import { createHash } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { prepared } from "../../storage/query.ts";
import { steadyNow } from "../../storage/steady-time.ts";
import { type Admission, type AdmissionRules, admit } from "./admission.ts";
import { usedChallenges } from "./schema.ts";

const RETRY_MS = 5 * 60_000;
/** Oldest are forgotten beyond this many: at 60 bytes a row some 60 MB. */
const MAX_REMEMBERED = 1_000_000;
/** The count is looked at now and then, not at each sign-in. */
const TRIM_EVERY = 1_000;
let untilTrim = TRIM_EVERY;

const byHash = prepared((db) =>
  db
    .select()
    .from(usedChallenges)
    .where(eq(usedChallenges.hash, sql.placeholder("hash")))
    .prepare(),
);

/** What becomes of a key whose signature was verified, or undefined for a replayed pair. */
export function signIn(
  { writer }: Database,
  publicKey: Uint8Array,
  challenge: Uint8Array,
  rules: AdmissionRules,
  now: number = steadyNow(),
): Promise<Admission | undefined> {
  return writer.run((db) => {
    const hash = createHash("sha256").update(publicKey).update(challenge).digest();
    const known = byHash(db).get({ hash });
    if (known !== undefined && (known.firstUsedAt < now - RETRY_MS || known.firstUsedAt > now))
      return undefined;
    if (known === undefined) db.insert(usedChallenges).values({ hash, firstUsedAt: now }).run();
    if (--untilTrim <= 0) {
      untilTrim = TRIM_EVERY;
      db.run(sql`DELETE FROM used_challenges WHERE first_used_at <
        (SELECT first_used_at FROM used_challenges ORDER BY first_used_at DESC LIMIT 1 OFFSET ${MAX_REMEMBERED})`);
    }
    return admit(db, Buffer.from(publicKey).toString("hex").toUpperCase(), rules);
  });
}
