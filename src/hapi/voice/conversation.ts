// One page's conversation with a voice service, between two sockets: the page's, and ours to the service, which carries the owner's key.
//
// Ours opens, its first message is the hub's, and what the page said meanwhile waits until the service takes it. From then on messages go
// through: a page's are looked at first and written anew. Either end closes the other, and nothing that waits is without a bound.
import type { Logger } from "pino";
import { isTooDeep } from "../../limits/json-depth.ts";
import type { Peer } from "../../server/peer.ts";
import { isObject } from "../wire/shape.ts";
import type { Dialect, Wishes } from "./dialects.ts";

export interface ConversationParts {
  readonly page: Pick<Peer, "send" | "close">;
  readonly dialect: Dialect;
  /** Of the service. */
  readonly base: string;
  readonly key: string;
  readonly wishes: Wishes;
  readonly log: Logger;
  /** For the service to be ready. */
  readonly readyMs?: number;
}

const READY_MS = 15_000;
/** What a page says before the service is ready. */
const MAX_WAITING_BYTES = 512 * 1024;
/** What the service has not taken yet. */
const MAX_BEHIND_BYTES = 2 * 1024 * 1024;
/** A second of speech has 64 KiB as base64. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** For the service to answer that we close. */
const CLOSING_MS = 2_000;
/** Of a close (RFC 6455, 5.5). */
const MAX_REASON_BYTES = 123;

type Message = string | Uint8Array<ArrayBuffer>;

export class Conversation {
  /** Undefined when no request could be made. */
  readonly #service: WebSocket | undefined;
  #waiting: Message[] | undefined = [];
  #waitingBytes = 0;
  #isOver = false;
  #late: Timer | undefined;

  /** Begins at once. */
  constructor(private readonly parts: ConversationParts) {
    const { dialect, base, key, wishes, readyMs = READY_MS } = parts;
    const service = opened(dialect, base, key);
    this.#service = service;
    if (service === undefined) {
      this.#fail(`${dialect.name} cannot be asked with the key or the address that are set`);
      return;
    }
    service.binaryType = "arraybuffer";
    service.onopen = () => service.send(JSON.stringify(dialect.opening(wishes)));
    service.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => this.#said(data);
    // A close follows. Its own words hold the address, which may hold the key.
    service.onerror = () => {};
    service.onclose = ({ code, reason }) => this.#left(code, reason);
    this.#late = setTimeout(() => this.#fail(`${dialect.name} did not answer in time`), readyMs);
  }

  /** The page sent this. */
  receive(message: string | Buffer): void {
    if (this.#isOver) return;
    const object = objectIn(message);
    if (object === undefined) {
      this.#end(1008, "Messages must be JSON objects");
      return;
    }
    const refusal = this.parts.dialect.refusal(object);
    if (refusal !== undefined) {
      this.#end(1008, refusal);
      return;
    }
    // What was looked at, and not what came: of a name that comes twice the service might take the other value.
    const text = JSON.stringify(object);
    const kept = typeof message === "string" ? text : new Uint8Array(Buffer.from(text));
    if (this.#waiting === undefined) this.#pass(kept);
    else if (this.#waitingBytes + kept.length > MAX_WAITING_BYTES)
      this.#end(1009, `${this.parts.dialect.name} is not ready for so much`);
    else {
      this.#waiting.push(kept);
      this.#waitingBytes += kept.length;
    }
  }

  /** The page is gone. */
  ended(): void {
    if (this.#isOver) return;
    this.#over();
  }

  #said(data: string | ArrayBuffer): void {
    if (this.#isOver) return;
    const { page, dialect } = this.parts;
    const message = typeof data === "string" ? data : new Uint8Array(data);
    if (message.length > MAX_MESSAGE_BYTES) {
      this.#fail(`${dialect.name} sent too much at once`);
      return;
    }
    const object = this.#waiting === undefined ? undefined : objectIn(message);
    page.send(message);
    if (object !== undefined && dialect.isReady(object)) this.#ready();
  }

  #ready(): void {
    clearTimeout(this.#late);
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const message of waiting) if (!this.#isOver) this.#pass(message);
  }

  #pass(message: Message): void {
    const service = this.#service;
    if (service?.readyState !== WebSocket.OPEN) return;
    service.send(message);
    if (service.bufferedAmount > MAX_BEHIND_BYTES) this.#fail(`${this.parts.dialect.name} does not keep up`);
  }

  #left(code: number, reason: string): void {
    if (this.#isOver) return;
    const { dialect, key } = this.parts;
    if (this.#waiting !== undefined)
      this.parts.log.warn({ service: dialect.name, code }, "a voice service let no conversation begin");
    const words = reason.replaceAll(key, "…");
    if (isSayable(code)) this.#end(code, words);
    else this.#end(1011, words || `${dialect.name} is not there`);
  }

  #fail(problem: string): void {
    this.parts.log.warn({ service: this.parts.dialect.name, problem }, "a conversation by voice was ended");
    this.#end(1011, problem);
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#over();
    this.parts.page.close(code, cutToBytes(reason));
  }

  #over(): void {
    this.#isOver = true;
    this.#waiting = undefined;
    clearTimeout(this.#late);
    const service = this.#service;
    if (service?.readyState !== WebSocket.OPEN) {
      service?.terminate();
      return;
    }
    const dropped = setTimeout(() => service.terminate(), CLOSING_MS);
    service.onclose = () => clearTimeout(dropped);
    service.close(1000);
  }
}

/** Undefined for a key or an address that no request can carry: whoever set them may set any text. */
function opened(dialect: Dialect, base: string, key: string): WebSocket | undefined {
  try {
    const { url, headers } = dialect.address(base, key);
    // Compressed, a message of a few hundred KiB could become one of Bun's 128 MiB before anybody sees how large it is.
    return new WebSocket(url, { headers, perMessageDeflate: false });
  } catch {
    // Its words may hold the key.
    return undefined;
  }
}

/** Both services take JSON in frames of either kind. */
function objectIn(message: string | Uint8Array): Readonly<Record<string, unknown>> | undefined {
  const text = typeof message === "string" ? message : Buffer.from(message).toString("utf8");
  if (isTooDeep(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Those that are only ever noted, never sent, stay out (RFC 6455, 7.4). */
const isSayable = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);

function cutToBytes(text: string): string {
  let cut = text;
  while (Buffer.byteLength(cut) > MAX_REASON_BYTES) cut = cut.slice(0, -1);
  return cut;
}
