// Variables of the original servers that have no meaning here (HTTP contract 18): whoever still sets one is told so, once, at the start.
// Their values are never shown: an address of a database holds its password.

const SQLITE = "Roost keeps everything in SQLite";
const UNUSED: Readonly<Record<string, string>> = {
  DB_PROVIDER: SQLITE,
  DATABASE_URL: SQLITE,
  PGLITE_DIR: SQLITE,
  REDIS_URL: `${SQLITE} and needs no Redis`,
};

/** One sentence for each such variable that is set; an empty one counts as unset. */
export function unusedVariables(environment: Record<string, string | undefined>): string[] {
  return Object.entries(UNUSED)
    .filter(([name]) => environment[name] !== undefined && environment[name] !== "")
    .map(([name, instead]) => `${name} is not used: ${instead}`);
}
