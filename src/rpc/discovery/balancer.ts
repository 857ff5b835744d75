// Which of several instances is chosen (contract 14): smooth weighted turns, exact over a cycle; by chance; or by a key, where most keys keep
// theirs when one comes or goes. Weights are above 0.
import { createHash } from "node:crypto";

export interface Candidate {
  readonly id: string;
  readonly weight: number;
}

export interface Balancer {
  /** The id of one of them. */
  choose(candidates: readonly Candidate[], key: string): string | undefined;
}

export type BalancerName = "weighted_round_robin" | "random" | "consistent_hash";

export function balancer(name: BalancerName, random: () => number = Math.random): Balancer {
  if (name === "random") return { choose: (candidates) => byChance(candidates, random) };
  return name === "consistent_hash" ? new Ring() : new Turns();
}

/** Each gains its weight, the one with most is chosen and pays for all. */
class Turns implements Balancer {
  #credit = new Map<string, number>();

  choose(candidates: readonly Candidate[]): string | undefined {
    const credit = new Map<string, number>();
    let best: string | undefined;
    let total = 0;
    for (const { id, weight } of candidates) {
      const own = (this.#credit.get(id) ?? 0) + weight;
      credit.set(id, own);
      total += weight;
      if (best === undefined || own > (credit.get(best) ?? 0)) best = id;
    }
    if (best !== undefined) credit.set(best, (credit.get(best) ?? 0) - total);
    // Those that are gone are forgotten.
    this.#credit = credit;
    return best;
  }
}

function byChance(candidates: readonly Candidate[], random: () => number): string | undefined {
  let left = random() * candidates.reduce((sum, { weight }) => sum + weight, 0);
  for (const { id, weight } of candidates) {
    left -= weight;
    if (left < 0) return id;
  }
  return candidates.at(-1)?.id;
}

const POINTS = 100;

class Ring implements Balancer {
  #ids = "";
  #points: { readonly at: number; readonly id: string }[] = [];

  choose(candidates: readonly Candidate[], key: string): string | undefined {
    const ids = candidates.map(({ id }) => id).join("\n");
    if (ids !== this.#ids) {
      this.#ids = ids;
      this.#points = candidates
        .flatMap(({ id }) =>
          Array.from({ length: POINTS }, (_, point) => ({ at: place(`${id}#${point}`), id })),
        )
        .sort((a, b) => a.at - b.at);
    }
    const at = place(key);
    return (this.#points.find((point) => point.at >= at) ?? this.#points[0])?.id;
  }
}

const place = (text: string): number => createHash("md5").update(text).digest().readUInt32BE(0);
