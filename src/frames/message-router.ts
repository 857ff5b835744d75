// What happens with one message whose turn it is: read, routed to its handler, permitted, handled, answered (frames contract, section
// 3). Nothing that a client sends closes its connection or goes unanswered.
import type { Logger } from "pino";
import type { Bounds } from "../limits/bounds.ts";
import type { Client } from "./client.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { errorCodes, ForbiddenError, HubError } from "./errors.ts";
import type { HubEvents } from "./events.ts";
import type { Handler, HandlerContext, HandlerHub } from "./handler.ts";
import { errorMessage, type Message, readMessage, writeMessage } from "./message.ts";
import type { HubMetrics } from "./metrics.ts";

export interface MessageRouterParts {
  readonly dispatcher: Dispatcher;
  /** What handlers may do. */
  readonly hub: HandlerHub;
  /** Queues an answer. A client that is gone, or does not read, does not get it; that is counted like any other frame. */
  readonly answer: (client: Client, text: string) => void;
  /** Whether unreadable and unknown messages are answered. */
  readonly errorReplies: boolean;
  readonly events: HubEvents;
  readonly metrics: HubMetrics;
  readonly bounds: Bounds;
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

export class MessageRouter {
  constructor(private readonly parts: MessageRouterParts) {}

  /** Never throws, never rejects. Returns a promise only when the handler is asynchronous. */
  route(client: Client, frame: string | Uint8Array): void | Promise<void> {
    const { dispatcher, events, bounds } = this.parts;
    const message = readMessage(frame);
    if ("invalid" in message) {
      if (message.tooDeep === true) bounds.refused("json-depth", { client: client.id });
      return this.#unreadable(client, message.invalid, errorCodes.invalidFormat, "invalid format");
    }
    events.emit("client_message", { clientId: client.id, message, claims: client.identity.claims });
    const handler = dispatcher.find(message);
    if (handler === undefined) {
      const what = message.type === "" ? "message id" : "message type";
      return this.#unreadable(client, message.id, errorCodes.invalidType, `unknown ${what}`);
    }
    try {
      const working = this.#handle(client, message, handler);
      if (working instanceof Promise)
        return working.catch((error: unknown) => this.#failed(client, message, error));
    } catch (error) {
      this.#failed(client, message, error);
    }
  }

  /** Answers without handling. */
  refuse(client: Client, frame: string | Uint8Array, code: number, text: string): void {
    const message = readMessage(frame);
    this.#answerError(client, "invalid" in message ? message.invalid : message.id, code, text);
  }

  #handle(client: Client, message: Message, handler: Handler): void | Promise<void> {
    if (!client.isPermitted(...(handler.permissions ?? []))) throw new ForbiddenError();
    const { hub, now, answer } = this.parts;
    const context: HandlerContext = {
      hub,
      messageId: message.id,
      get signal() {
        return client.signal;
      },
      now,
      reply: (type, data) =>
        answer(client, writeMessage({ message_id: message.id, message_type: type, data, ts: now() })),
    };
    return handler.handle(context, client, message.data);
  }

  #failed(client: Client, message: Message, error: unknown): void {
    const { metrics, events, log } = this.parts;
    const expected = error instanceof HubError;
    const [code, text] = expected
      ? [error.code, error.message]
      : [errorCodes.serverError, "the message could not be handled"];
    metrics.errors.add();
    if (!expected)
      log.error({ err: error, type: message.type, client: client.id }, "a message handler failed");
    events.emit("client_error", {
      clientId: client.id,
      claims: client.identity.claims,
      extra: { error },
    });
    this.#answerError(client, message.id, code, text);
  }

  #unreadable(client: Client, id: number, code: number, text: string): void {
    this.parts.metrics.errors.add();
    if (this.parts.errorReplies) this.#answerError(client, id, code, text);
  }

  #answerError(client: Client, id: number, code: number, text: string): void {
    this.parts.answer(client, errorMessage(id, code, text, this.parts.now()));
  }
}
