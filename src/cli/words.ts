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

/** Takes an option that is no setting out of the words: `--for 24h` or `--for=24h`. Its value is "" where none was given. */
export function takeOption(
  words: readonly string[],
  name: string,
): { readonly value: string | undefined; readonly rest: readonly string[] } {
  const at = words.findIndex((word) => word === name || word.startsWith(`${name}=`));
  if (at < 0) return { value: undefined, rest: words };
  const word = words[at] ?? "";
  if (word !== name) return { value: word.slice(name.length + 1), rest: words.toSpliced(at, 1) };
  const next = words[at + 1];
  if (next === undefined || next.startsWith("--")) return { value: "", rest: words.toSpliced(at, 1) };
  return { value: next, rest: words.toSpliced(at, 2) };
}
