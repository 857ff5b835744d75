// The context of a handler in a thread of its own: the same values as anywhere, and what it does is sent to the server's thread. Its signal
// never fires, because a call that nobody waits for any more is ended with its thread.
import pino, { type Logger } from "pino";
import { carryTrace } from "../pipeline/carry-trace.ts";
import { type CallContext, Fragment, PartialResult } from "../registry/call-context.ts";
import type { Pagination } from "../wire/response.ts";
import { type CallFacts, type CpuCall, type CpuNews, LOG_LEVELS } from "./messages.ts";

async function* nothing(): AsyncGenerator<never> {}

export function threadContext({ facts, trace }: CpuCall, tell: (news: CpuNews) => void): CallContext {
  const { signal } = new AbortController();
  let log: Logger | undefined;
  return {
    ...facts,
    headers: Object.freeze({ ...facts.headers }),
    signal,
    get log() {
      log ??= toldLog(tell);
      return log;
    },
    items: nothing(),
    fetch: (input, init = {}) => {
      const headers = new Headers(init.headers);
      if (trace !== undefined) carryTrace(headers, trace);
      return fetch(input, { ...init, headers });
    },
    emit_progress: (current, total, message) => tell({ kind: "progress", current, total, message }),
    partial: (result: unknown, pagination?: Pagination) => new PartialResult(result, pagination),
    fragment: (data: unknown) => new Fragment(data),
  } satisfies CallContext & CallFacts;
}

/** Its lines are written by the server's log, which knows what must not be in one and which level counts. */
function toldLog(tell: (news: CpuNews) => void): Logger {
  return pino(
    { level: "trace", base: null, timestamp: false },
    {
      write: (line: string) => {
        const { level, msg, ...fields } = JSON.parse(line);
        tell({ kind: "log", level: LOG_LEVELS[level / 10 - 1] ?? "info", fields, text: msg });
      },
    },
  );
}
