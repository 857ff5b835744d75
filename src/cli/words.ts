// A command's own words come first, settings after them: `roost backup list --backup-dir /b`.

export function splitWords(argv: readonly string[]): {
  readonly words: readonly string[];
  readonly flags: readonly string[];
} {
  const firstFlag = argv.findIndex((word) => word.startsWith("--"));
  const count = firstFlag < 0 ? argv.length : firstFlag;
  return { words: argv.slice(0, count), flags: argv.slice(count) };
}

/** Takes a switch that is no setting out of the flags. */
export function takeSwitch(
  flags: readonly string[],
  name: string,
): { readonly on: boolean; readonly flags: readonly string[] } {
  return { on: flags.includes(name), flags: flags.filter((flag) => flag !== name) };
}
