// The audit as lines of the server's own log, for those who collect everything from standard output. The log takes them at once and never
// waits for who reads it.
import type { Logger } from "pino";
import type { AuditEvent, AuditSink } from "./audit.ts";

export class AuditLog implements AuditSink {
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log.child({ logger: "audit" });
  }

  write({ level, timestamp: _own, response, ...event }: AuditEvent): void {
    // The log hides what is called a response, since clients' content has that name elsewhere; this was asked for, and is cleaned.
    const facts = response === undefined ? event : { ...event, answer: response };
    this.#log[level](facts, "audit");
  }

  async close(): Promise<void> {}
}
