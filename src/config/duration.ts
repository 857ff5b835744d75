// Durations as the hub's configuration writes them: decimal numbers with units, as in 3m, 1h30m, 1.5s. A bare number is refused,
// because nobody can tell its unit (frames contract, section 15).
import { z } from "zod";

const MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/y;

/** Milliseconds; undefined when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const sign = text.startsWith("-") ? -1 : 1;
  let at = /^[+-]/.test(text) ? 1 : 0;
  if (at === text.length) return undefined;
  let total = 0;
  while (at < text.length) {
    PART.lastIndex = at;
    const part = PART.exec(text);
    if (part === null) return undefined;
    total += Number(part[1]) * (MS[part[2] ?? ""] ?? Number.NaN);
    at = PART.lastIndex;
  }
  return sign * total;
}

/** Longest delay that a timer takes. */
const MAX_MS = 2 ** 31 - 1;

/** Parses to milliseconds within the bounds. */
export const duration = (minimumMs: number, maximumMs = MAX_MS) =>
  z.string().transform((text, context) => {
    const ms = parseDuration(text);
    const problem =
      ms === undefined
        ? "it must be a number with a unit, such as 3m, 5s or 1h30m"
        : ms < minimumMs || ms > maximumMs
          ? `it must be from ${minimumMs} ms to ${maximumMs} ms`
          : undefined;
    if (ms !== undefined && problem === undefined) return ms;
    context.addIssue({ code: "custom", message: problem ?? "" });
    return z.NEVER;
  });
