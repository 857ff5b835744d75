// The body of an answer that stays open, as Server-Sent Events (contract 7.2). Its writer waits while the client does not read; what is sent
// all the same, such as heartbeats, has a bound, and whoever reaches it is taken for gone.

/** The writer goes on below it. */
const HIGH_WATER_BYTES = 64 * 1024;
/** Waits for a client that does not read, beside one frame of any size. */
const MAX_WAITING_BYTES = 1024 * 1024;
/**
 * Bun sends the head of an answer with the first byte of its body. A stream that has nothing to say yet sends an empty line, which means
 * nothing: its client has to know the stream's id, to cancel it.
 */
const HEAD_MS = 20;

export class EventBody {
  readonly readable: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isOpen = true;
  #wake: (() => void) | undefined;
  #head: Timer | undefined;

  /** `left`: the client is gone. */
  constructor(left: () => void) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#woken(),
        cancel: () => {
          this.#isOpen = false;
          clearTimeout(this.#head);
          this.#woken();
          left();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_BYTES }),
    );
    this.#head = setTimeout(() => this.write("\n"), HEAD_MS);
  }

  /** False: nobody is there any more. */
  write(text: string): boolean {
    if (!this.#isOpen || this.#controller === undefined) return false;
    if (HIGH_WATER_BYTES - this.#roomBytes() > MAX_WAITING_BYTES) return false;
    clearTimeout(this.#head);
    this.#controller.enqueue(Buffer.from(text));
    return true;
  }

  /** Resolves when the client takes more, or has left. */
  taken(): Promise<void> | undefined {
    if (!this.#isOpen || this.#roomBytes() > 0) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#head);
    this.#controller?.close();
    this.#woken();
  }

  #roomBytes(): number {
    return this.#controller?.desiredSize ?? 0;
  }

  #woken(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
