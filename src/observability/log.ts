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
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: HIDDEN.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: "[hidden]" },
    },
    destination,
  );
}
