// What happens with one inbound message: read, found its handler, permitted, handled, answered (frames contract, section 3). Nothing
// that a client sends closes its connection or goes unanswered.
import type { Client } from "./client.ts";
import type { Handler, HandlerContext } from "./dispatcher.ts";
import { errorCodes, ForbiddenError, HubError } from "./errors.ts";
import type { Hub } from "./hub.ts";
import { errorMessage, type Message, readMessage, writeMessage } from "./message.ts";

export class MessageRouter {
  constructor(private readonly hub: Hub) {}

  /** Never throws, never rejects. Returns a promise only when the handler is asynchronous. */
  route(client: Client, frame: string | Uint8Array): void | Promise<void> {
    const message = readMessage(frame);
    if ("invalid" in message) {
      if (message.tooDeep === true) this.hub.bounds.refused("json-depth", { client: client.id });
      return this.#unreadable(client, message.invalid, errorCodes.invalidFormat, "invalid format");
    }
    this.hub.events.emit("client_message", { clientId: client.id, message, claims: client.identity.claims });
    const handler = this.hub.dispatcher.find(message);
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
    this.#answer(
      client,
      errorMessage("invalid" in message ? message.invalid : message.id, code, text, this.hub.now()),
    );
  }

  #handle(client: Client, message: Message, handler: Handler): void | Promise<void> {
    if (!client.isPermitted(...(handler.permissions ?? []))) throw new ForbiddenError();
    const { hub } = this;
    const context: HandlerContext = {
      hub,
      messageId: message.id,
      get signal() {
        return client.signal;
      },
      now: hub.now,
      reply: (type, data) => {
        this.#answer(
          client,
          writeMessage({ message_id: message.id, message_type: type, data, ts: hub.now() }),
        );
      },
    };
    return handler.handle(context, client, message.data);
  }

  #failed(client: Client, message: Message, error: unknown): void {
    const { hub } = this;
    const expected = error instanceof HubError;
    const [code, text] = expected
      ? [error.code, error.message]
      : [errorCodes.serverError, "the message could not be handled"];
    hub.metrics.errors.add();
    if (!expected)
      hub.log.error({ err: error, type: message.type, client: client.id }, "a message handler failed");
    hub.events.emit("client_error", {
      clientId: client.id,
      claims: client.identity.claims,
      extra: { error },
    });
    this.#answer(client, errorMessage(message.id, code, text, hub.now()));
  }

  #unreadable(client: Client, id: number, code: number, text: string): void {
    this.hub.metrics.errors.add();
    if (this.hub.settings.errorReplies) this.#answer(client, errorMessage(id, code, text, this.hub.now()));
  }

  /** A client that is gone, or does not read, cannot be answered; that is counted like any other frame. */
  #answer(client: Client, text: string): void {
    this.hub.deliver(client, text);
  }
}
