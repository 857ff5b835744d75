// One pino logger, written synchronously to standard output: worker transports break in a compiled executable. Secrets, keys and
// content are removed whatever a caller passes.
import pino, { type Logger } from "pino";

/** Keys whose values never reach a log line, at any of the first three levels. */
const HIDDEN = [
  "token",
  "authorization",
  "secret",
  "masterSecret",
  "publicKey",
  "challenge",
  "signature",
  "response",
  "metadata",
  "content",
];

export function createLog(
  level: string,
  destination: pino.DestinationStream = pino.destination({ dest: 1, sync: true }),
): Logger {
  const children = new Set<WeakRef<Logger>>();
  let pruneAt = 64;
  const log: Logger = pino(
    {
      level,
      base: null,
      onChild: (child: Logger) => {
        children.add(new WeakRef(child));
        if (children.size < pruneAt) return;
        for (const known of children) if (known.deref() === undefined) children.delete(known);
        pruneAt = Math.max(64, 2 * children.size);
      },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: HIDDEN.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: "[hidden]" },
    },
    destination,
  );
  descendants.set(log, children);
  return log;
}

/** A child of pino keeps the level it was made with, so whoever changes the level has to know them all. */
const descendants = new WeakMap<Logger, ReadonlySet<WeakRef<Logger>>>();

/** Changes what is written by a log of `createLog` and by everything that was made from it. */
export function changeLevel(log: Logger, level: string): void {
  log.level = level;
  for (const child of descendants.get(log) ?? []) {
    const alive = child.deref();
    if (alive !== undefined) alive.level = level;
  }
}
