// One pino logger, written from this thread: worker transports break in a compiled executable. Secrets, keys and content are removed
// whatever a caller passes.
import pino, { type Logger } from "pino";
import type { LogLevels } from "../config/values.ts";
import { hideValues } from "./hidden-values.ts";
import { openChannel } from "./log-channel.ts";
import { LogOutput } from "./log-output.ts";
import { logText } from "./log-text.ts";
import type { Metrics } from "./metrics.ts";
import { withoutTokens } from "./tokens.ts";

/** Keys whose values never reach a log line, at any of the first three levels. */
const HIDDEN: ReadonlySet<string> = new Set([
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
]);

export function createLog(
  level: string,
  destination: pino.DestinationStream = pino.destination({ dest: 1, sync: true }),
  levels: LogLevels = {},
): Logger {
  const children = new Set<WeakRef<Logger>>();
  const family: Family = { children, levels, destination };
  let pruneAt = 64;
  const log: Logger = pino(
    {
      level,
      base: null,
      onChild: (child: Logger) => {
        const own = levelOf(child, family.levels);
        if (own !== undefined) child.level = own;
        children.add(new WeakRef(child));
        if (children.size < pruneAt) return;
        for (const known of children) if (known.deref() === undefined) children.delete(known);
        pruneAt = Math.max(64, 2 * children.size);
      },
      serializers: { err: plainError },
      hooks: { streamWrite: withoutTokens },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { log: (line) => hideValues(line, HIDDEN) },
    },
    destination,
  );
  // What was made from it inherits this too; pino formats the bindings of the first one only.
  const child = log.child;
  log.child = function (this: Logger, bindings: pino.Bindings, ...options: []) {
    return child.call(this, hideValues(bindings, HIDDEN), ...options);
  } as typeof log.child;
  families.set(log, family);
  return log;
}

/** Standard output, which no reader can hold up: JSON, or text for people, by itself when it is a terminal. */
export function standardOutput(format: "auto" | "json" | "text"): LogOutput {
  const isJson = format === "json" || (format === "auto" && !process.stdout.isTTY);
  const output = new LogOutput(openChannel(1), isJson ? undefined : logText);
  // The last lines say why it ended.
  process.on("exit", () => output.flushNow());
  return output;
}

/** Figures of a log that goes to `standardOutput`. */
export function reportLog(metrics: Metrics, log: Logger): void {
  const output = families.get(log)?.destination;
  if (!(output instanceof LogOutput)) return;
  metrics
    .total("roost_log_lost_lines_total", "Log lines that were lost because their reader was too slow or gone")
    .report(() => output.lostTotal);
  metrics
    .gauge("roost_log_waiting_bytes", "Bytes of log lines that wait for their reader")
    .report(() => output.waitingBytes);
}

interface Family {
  readonly destination: pino.DestinationStream;
  readonly children: ReadonlySet<WeakRef<Logger>>;
  levels: LogLevels;
}

/** A child of pino keeps the level it was made with, so whoever changes the level has to know them all. */
const families = new WeakMap<Logger, Family>();

/** Changes what is written by a log of `createLog` and by everything that was made from it. */
export function changeLevel(log: Logger, level: string, levels: LogLevels = {}): void {
  log.level = level;
  const family = families.get(log);
  if (family === undefined) return;
  family.levels = levels;
  for (const child of family.children) {
    const alive = child.deref();
    if (alive !== undefined) alive.level = levelOf(alive, levels) ?? level;
  }
}

function levelOf(child: Logger, levels: LogLevels): string | undefined {
  const area: unknown = child.bindings().area;
  return typeof area === "string" ? (levels as Readonly<Record<string, string>>)[area] : undefined;
}

/** Of an error only what programs wrote into it: other properties can hold a request, its headers or a query's values. */
function plainError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: typeof error === "string" ? error : "not an error" };
  const { name, message, stack, cause } = error;
  const code =
    "code" in error && (typeof error.code === "string" || typeof error.code === "number")
      ? error.code
      : undefined;
  return {
    type: name,
    message: withoutValues(message),
    ...(code !== undefined && { code }),
    stack: stack === undefined ? undefined : withoutValues(stack),
    ...(cause instanceof Error && depth < 3 && { cause: plainError(cause, depth + 1) }),
  };
}

/** The query builder puts the values of a failed query behind its text. */
function withoutValues(text: string): string {
  const at = text.indexOf("\nparams: ");
  if (at < 0) return text;
  const end = text.indexOf("\n    at ", at);
  return text.slice(0, at) + (end < 0 ? "" : text.slice(end));
}
