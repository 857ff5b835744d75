// How far a long command is: a bar on standard error when a person watches, else nothing.

export interface Progress {
  /** Whether counting ahead is worth the while. */
  readonly isWatched: boolean;
  begin(what: string, totalBytes: number): void;
  advance(bytes: number): void;
  end(): void;
}

export const noProgress: Progress = { isWatched: false, begin: () => {}, advance: () => {}, end: () => {} };

const REDRAW_MS = 100;
const WIDTH = 30;

export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export function progressOn(
  screen: Screen = process.stderr,
  now: () => number = () => performance.now(),
): Progress {
  if (screen.isTTY !== true) return noProgress;
  let what = "";
  let total = 0;
  let done = 0;
  let drawnAt = Number.NEGATIVE_INFINITY;
  const draw = () => {
    drawnAt = now();
    // Estimates may be a little off; a bar never goes beyond its end.
    const share = total === 0 ? 0 : Math.min(1, done / total);
    const filled = Math.round(share * WIDTH);
    const bar = "#".repeat(filled) + ".".repeat(WIDTH - filled);
    screen.write(`\r\x1b[K${what} [${bar}] ${Math.floor(share * 100)} %, ${inWords(done)}`);
  };
  return {
    isWatched: true,
    begin: (name, totalBytes) => {
      [what, total, done] = [name, totalBytes, 0];
      draw();
    },
    advance: (bytes) => {
      done += bytes;
      if (now() - drawnAt >= REDRAW_MS) draw();
    },
    end: () => {
      screen.write("\r\x1b[K");
    },
  };
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** `1.2 GB`. */
export function inWords(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
