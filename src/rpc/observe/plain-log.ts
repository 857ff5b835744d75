// A log for lines that are made here, of keys that are known and values that were cleaned by the contract's own words (wire/redact.ts): what
// the server hides elsewhere, such as an answer, is what an audit is asked for. What authenticates is hidden here too.
import type { Logger } from "pino";
import { hideValues } from "../../observability/hidden-values.ts";

const HIDDEN: ReadonlySet<string> = new Set(["token", "authorization", "secret"]);

export const plainLog = (log: Logger, bindings: Readonly<Record<string, string>> = {}): Logger =>
  log.child(bindings, { formatters: { log: (line) => hideValues(line, HIDDEN, 1) } });
