// Lines of the log whose JSON is made by hand, for what is written with every request: of keys that are known, and of values that hold no
// secret by what they are: the log itself looks for secrets in whatever it is handed, and then writes it key by key.
// What looks like a token in a text is taken out all the same.
import pino, { type Logger } from "pino";
import { isoNow } from "./iso-now.ts";
import { LogOutput } from "./log-output.ts";
import { withoutTokens } from "./tokens.ts";

const { streamSym, chindingsSym } = pino.symbols;

/** What went wrong is written at once: it may be the last that is. */
const SOON: ReadonlySet<ReadyLevel> = new Set(["debug", "info"]);

export type ReadyLevel = "debug" | "info" | "warn" | "error";

export class ReadyLines {
  readonly #stream: pino.DestinationStream;
  /** What every line of this log says. */
  readonly #bindings: string;
  readonly #levels: Readonly<Record<ReadyLevel, string>>;

  constructor(private readonly log: Logger) {
    const inner = log as unknown as Readonly<Record<symbol, unknown>>;
    this.#stream = inner[streamSym] as pino.DestinationStream;
    this.#bindings = String(inner[chindingsSym]);
    const level = (name: ReadyLevel) => `{"level":${log.levels.values[name]},"time":"`;
    this.#levels = {
      debug: level("debug"),
      info: level("info"),
      warn: level("warn"),
      error: level("error"),
    };
  }

  isEnabled(level: ReadyLevel): boolean {
    return this.log.isLevelEnabled(level);
  }

  /** Of a level that is enabled. `facts`: members of a JSON object, each with a comma before it. */
  write(level: ReadyLevel, facts: string, message: string): void {
    const line = `${this.#levels[level]}${isoNow()}"${this.#bindings}${facts},"msg":${JSON.stringify(message)}}\n`;
    const text = withoutTokens(line);
    if (this.#stream instanceof LogOutput && SOON.has(level)) this.#stream.writeSoon(text);
    else this.#stream.write(text);
  }
}
