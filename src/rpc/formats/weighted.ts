// Lists of HTTP with weights, such as Accept (RFC 9110, 12.4.2): by weight, then in the order given; a weight of 0 excludes.

export interface Weighted {
  /** In lower case, without parameters. */
  readonly name: string;
  readonly weight: number;
}

const MAX_ENTRIES = 64;

/** Best first; those that are excluded come last, with a weight of 0. What cannot be read as a weight counts as none given. */
export function weightedList(header: string | null): readonly Weighted[] {
  if (header === null) return [];
  return header
    .toLowerCase()
    .split(",", MAX_ENTRIES)
    .map((entry) => {
      const [name = "", ...parameters] = entry.split(";").map((part) => part.trim());
      const given = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
      const weight = given === undefined || given === "" ? 1 : Number(given);
      return { name, weight: Number.isFinite(weight) ? Math.min(1, Math.max(0, weight)) : 1 };
    })
    .filter(({ name }) => name !== "")
    .sort((a, b) => b.weight - a.weight);
}
