// Which backups stay: the newest of each of the last days and weeks that have one. Only backups that passed their drill fill a
// place, so bad ones never push a good one out; a bad one stays until a newer good one is there.

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
/** Days begin at midnight UTC; weeks on Monday (1970-01-01 was a Thursday). */
const dayOf = ({ createdAt }: Candidate) => Math.floor(createdAt / DAY_MS);
const weekOf = (backup: Candidate) => Math.floor((dayOf(backup) + 3) / 7);

/** Names of the backups that may go. The newest good one never does. */
export function superseded(backups: readonly Candidate[], { daily, weekly }: Keep): string[] {
  const newestFirst = [...backups].sort((a, b) => b.createdAt - a.createdAt);
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
