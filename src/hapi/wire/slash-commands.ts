// The slash commands of a session: what its CLI lists, and the names that its metadata has besides (hapi-http-sse A9).
import type { SessionMetadata } from "./metadata.ts";
import { isObject, textAt } from "./shape.ts";

/** Names of the metadata count as built in. Where the CLI lists one of the same name, its word stands. */
export function mergedCommands(listed: unknown, metadata: SessionMetadata | null): readonly unknown[] {
  const commands: readonly unknown[] = Array.isArray(listed) ? listed : [];
  const known = new Set(commands.filter(isObject).map((command) => textAt(command, "name")));
  const more = [...new Set(metadata?.slashCommands ?? [])].filter((name) => !known.has(name));
  return [...commands, ...more.map((name) => ({ name, source: "builtin" }))];
}
