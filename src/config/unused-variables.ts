// Variables of the servers whose place this one takes that have no meaning here: who still sets one is told so, once, at the start.
// Their values are never shown: an address of a database holds its password.
import type { Catalogue } from "./catalogue.ts";

/** One sentence for each such variable that is set; an empty one counts as unset. */
export function unusedVariables(
  { unused }: Pick<Catalogue, "unused">,
  environment: Record<string, string | undefined>,
): string[] {
  return Object.entries(unused)
    .filter(([name]) => environment[name] !== undefined && environment[name] !== "")
    .map(([name, instead]) => `${name} is not used: ${instead}`);
}
