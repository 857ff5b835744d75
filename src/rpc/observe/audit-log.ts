// The audit as lines of the server's own log, for those who collect everything from standard output. The log takes them at once and never
// waits for who reads it.
import type { Logger } from "pino";
import type { AuditEvent, AuditSink } from "./audit.ts";
import { plainLog } from "./plain-log.ts";

export class AuditLog implements AuditSink {
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = plainLog(log, { logger: "audit" });
  }

  write({ level, timestamp: _own, ...event }: AuditEvent): void {
    this.#log[level](event, "audit");
  }

  async close(): Promise<void> {}
}
