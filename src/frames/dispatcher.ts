// From a message's type, or the numeric id of old clients, to the handler of it (frames contract, section 3).
import type { Logger } from "pino";
import type { Handler } from "./handler.ts";
import type { Message } from "./message.ts";

export class Dispatcher {
  readonly #handlers = new Map<string, Handler>();
  readonly #types = new Map<number, string>();

  constructor(private readonly log: Logger) {}

  /** The newest handler of a type is the one that counts. */
  register(type: string, handler: Handler): void {
    if (this.#handlers.has(type)) this.log.warn({ type }, "a message handler was replaced by another one");
    this.#handlers.set(type, handler);
  }

  /** Lets messages without a type arrive at `type` by their numeric id. */
  registerId(id: number, type: string): void {
    this.#types.set(id, type);
  }

  find({ id, type }: Message): Handler | undefined {
    return this.#handlers.get(type === "" ? (this.#types.get(id) ?? "") : type);
  }
}
