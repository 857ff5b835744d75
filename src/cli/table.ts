// Tables for a terminal, and the one place where text from elsewhere (names that clients sent, a foreign archive or server) loses what
// would steer the terminal. Output that a machine reads is not for here.

/** A heading and its rows; columns as wide as what a terminal shows of them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return columns([head, ...rows]);
}

/** Rows without a heading. Nothing is added behind the last cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(plain));
  const widths: number[] = [];
  for (const row of shown)
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, Bun.stringWidth(cell));
  return shown
    .map((row) => row.map((cell, column) => padded(cell, widths[column] ?? 0)).join("  "))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** `padEnd` counts UTF-16 units; a terminal shows 漢 two columns wide and é, written as two, one wide. */
const padded = (cell: string, width: number) => cell + " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));

/**
 * One line of text from elsewhere, with "?" for every character that acts or hides: controls and escapes, turns of direction, widths of
 * nothing, line separators. The rest of an escape sequence stays to be seen: a name that vanished would be a disguise.
 */
export const plain = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");

/** The same for text whose lines are ours. */
export const plainLines = (text: string): string => text.split("\n").map(plain).join("\n");

/** In UTC, to the minute. */
export const when = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")}Z`;

export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${step === 0 ? value : value.toFixed(1)} ${units[step]}`;
}
