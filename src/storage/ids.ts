// Server-made ids: CUID v1 shape, 25 characters, so that they sort by creation time and after every id that the original made
// (data contract, 1.1). Twelve random characters keep them unguessable; the counter keeps one millisecond's ids in order.
// They go on after the newest one of the database, also when the clock was set back since: `continueAfter` is told at the start.
const WIDTH = 4;
const COUNTER_LIMIT = 36 ** WIDTH;
/** Eight digits of time, until the year 2059; later times stay there and the counter goes on. */
const TIME_LIMIT = 36 ** 8 - 1;
const SHAPE = /^c([0-9a-z]{8})[0-9a-z]{16}$/;

let lastMs = 0;
let counter = 0;

/** Ids from now on are greater than this one, if it has our shape. */
export function continueAfter(id: string | null | undefined): void {
  const digits = SHAPE.exec(id ?? "")?.[1];
  const ms = digits === undefined ? 0 : Number.parseInt(digits, 36);
  // The millisecond after, whatever its counter was.
  if (ms >= lastMs && ms < TIME_LIMIT) {
    lastMs = ms + 1;
    counter = 0;
  }
}

/** A new id, greater in text order than every id this process made before, also when the clock steps back. */
export function newId(now: number = Date.now()): string {
  if (now > lastMs && now <= TIME_LIMIT) {
    lastMs = now;
    counter = 0;
  } else if (++counter >= COUNTER_LIMIT) {
    lastMs++;
    counter = 0;
  }
  return `c${base36(lastMs, 8)}${base36(counter, WIDTH)}${randomText(12, LOWER)}`;
}

const LOWER = "0123456789abcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC = `${LOWER}ABCDEFGHIJKLMNOPQRSTUVWXYZ`;

/** `length` random characters of [A-Za-z0-9], without bias. */
export function randomAlphanumeric(length: number): string {
  return randomText(length, ALPHANUMERIC);
}

function base36(value: number, width: number): string {
  return value.toString(36).padStart(width, "0");
}

// One call into the system for many ids: refilled when used up.
const pool = new Uint8Array(4096);
let poolAt = pool.length;

function randomText(length: number, alphabet: string): string {
  const unbiased = 256 - (256 % alphabet.length);
  let text = "";
  while (text.length < length) {
    if (poolAt === pool.length) {
      crypto.getRandomValues(pool);
      poolAt = 0;
    }
    const byte = pool[poolAt++] ?? 0;
    if (byte < unbiased) text += alphabet[byte % alphabet.length];
  }
  return text;
}
