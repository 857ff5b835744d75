// Which backups stay: the newest of each of the last days and weeks that have one. Only backups that passed their drill fill a
// place, so bad ones never push a good one out; a bad one stays until a newer good one is there. One that is dated in the future was
// made while the clock was wrong, or the clock is wrong now: it says nothing, so it fills no place, and it is not deleted either.

export interface Keep {
  readonly daily: number;
  readonly weekly: number;
}

interface Candidate {
  readonly file: string;
  readonly createdAt: number;
  readonly drill: { readonly ok: boolean };
}

const DAY_MS = 86_400_000;
/** A clock that was put right by a moment changes nothing. */
const AHEAD_MS = 5 * 60_000;

/** Whether it says when it was made. */
export const isDated = ({ createdAt }: { readonly createdAt: number }, now: number): boolean =>
  createdAt <= now + AHEAD_MS;

/** Days begin at midnight UTC; weeks on Monday (1970-01-01 was a Thursday). */
const dayOf = ({ createdAt }: Candidate) => Math.floor(createdAt / DAY_MS);
const weekOf = (backup: Candidate) => Math.floor((dayOf(backup) + 3) / 7);

/** Names of the backups that may go. The newest good one never does. */
export function superseded(backups: readonly Candidate[], { daily, weekly }: Keep, now: number): string[] {
  const newestFirst = backups
    .filter((backup) => isDated(backup, now))
    .sort((a, b) => b.createdAt - a.createdAt);
  const good = newestFirst.filter(({ drill }) => drill.ok);
  const kept = new Set<Candidate>([
    ...good.slice(0, 1),
    ...newestOfEach(good, dayOf, daily),
    ...newestOfEach(good, weekOf, weekly),
  ]);
  const newestGood = good[0]?.createdAt ?? Number.NEGATIVE_INFINITY;
  return newestFirst
    .filter((backup) => (backup.drill.ok ? !kept.has(backup) : backup.createdAt < newestGood))
    .map(({ file }) => file);
}

function newestOfEach(
  newestFirst: readonly Candidate[],
  period: (backup: Candidate) => number,
  count: number,
): Candidate[] {
  const newest = new Map<number, Candidate>();
  for (const backup of newestFirst) if (!newest.has(period(backup))) newest.set(period(backup), backup);
  return [...newest.values()].slice(0, count);
}
