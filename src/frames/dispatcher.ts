// From a message's type, or the numeric id of old clients, to the code that handles it (frames contract, section 3).
import type { Logger } from "pino";
import type { Client } from "./client.ts";
import type { Hub } from "./hub.ts";
import type { Permission } from "./identity.ts";
import type { Message } from "./message.ts";

export interface HandlerContext {
  readonly hub: Hub;
  /** The request's id, which a reply repeats. */
  readonly messageId: number;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds. */
  now(): number;
  reply(type: string, data: unknown): void;
}

export interface Handler {
  /** One of these is needed; none when absent. */
  readonly permissions?: readonly Permission[];
  /**
   * `data` is an empty object when the client sent none. @throws HubError for what the client shall hear with its code; anything
   * else is logged, and the client hears of a server error.
   */
  handle(context: HandlerContext, client: Client, data: unknown): void | Promise<void>;
}

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
