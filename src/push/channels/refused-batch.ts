// How a batch that Expo refused as a whole is split, so that in the end only the elements that it cannot take stand alone. Expo often
// says which elements do not go together, such as devices of two projects: then those are kept apart, else the batch is halved.
import { z } from "zod";

/** Statuses that a smaller or another batch may not get; 401 and its kin would refuse every part as well. */
const ABOUT_THE_BATCH = new Set([400, 413, 422]);

export const isAboutTheBatch = (status: number): boolean => ABOUT_THE_BATCH.has(status);

const refusalSchema = z.object({
  errors: z.array(z.object({ details: z.record(z.string(), z.unknown()).optional().catch(undefined) })),
});

/** At least two parts, none empty, each element in one of them. `batch` has at least two elements. */
export function splitRefused<T>(
  batch: readonly T[],
  nameOf: (element: T) => string,
  refusal: unknown,
): T[][] {
  const groups = groupsOf(refusal, new Set(batch.map(nameOf)));
  const parts = new Map<number, T[]>();
  for (const element of batch) {
    const group = groups.get(nameOf(element)) ?? -1;
    const part = parts.get(group);
    if (part === undefined) parts.set(group, [element]);
    else part.push(element);
  }
  if (parts.size > 1) return [...parts.values()];
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)];
}

/** Group of each element that the details name: `{"@team/project": ["token", ...]}`, or `{"token": "problem"}`. */
function groupsOf(refusal: unknown, names: ReadonlySet<string>): Map<string, number> {
  const groups = new Map<string, number>();
  const parsed = refusalSchema.safeParse(refusal);
  let group = 0;
  for (const { details = {} } of parsed.data?.errors ?? []) {
    for (const [key, value] of Object.entries(details)) {
      for (const name of [key, ...(Array.isArray(value) ? value : [value])])
        if (typeof name === "string" && names.has(name) && !groups.has(name)) groups.set(name, group);
      group++;
    }
  }
  return groups;
}
