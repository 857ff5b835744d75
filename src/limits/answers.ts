// Answers that are written piece by piece, as fast as their readers take them: each holds one piece at a time, all together stay
// within a limit, and an answer whose reader stopped gives way to those that wait.
import { setImmediate as later } from "node:timers";
import type { MemoryUser, NextPiece } from "./memory-ceiling.ts";
import { releaseMemory } from "./release-memory.ts";

/** Handed over at one time. Bun holds what the system has not taken. */
const CHUNK_BYTES = 128 * 1024;
/** An answer that waits for its reader so long is cut off when others wait for memory. */
const STALLED_MS = 5_000;
const LOOK_MS = 250;

type Piece = string | Uint8Array;
type Pieces = Iterator<Piece> | AsyncIterator<Piece>;

/** What was cut off is reset on the wire, so that no client takes it for whole. */
export class AnswerCutOff extends Error {}

interface Answer {
  held: number;
  /** Since when its reader has not asked for more; undefined while it is being served. */
  idleSince: number | undefined;
  readonly cutOff: () => void;
}

export class Answers implements MemoryUser {
  readonly name = "answers";
  #held = 0;
  readonly #holding = new Set<Answer>();
  /** The answer in turn waits for room. */
  #waiting: (() => void) | undefined;
  /** Called before a piece is handed over: what must leave before it. The door sets it. */
  beforePiece: () => void = () => {};
  /** Ends when the next one may ask for its piece: first come, first served. */
  #turn = Promise.resolve();

  constructor(
    /** Asked each time. An answer that would be alone may always hold its piece. */
    private readonly limitBytes: () => number,
    private readonly onCutOff: (heldBytes: number) => void = () => {},
    private readonly now: () => number = () => performance.now(),
  ) {}

  held(): number {
    return this.#held;
  }

  next(): NextPiece | undefined {
    const oldest = this.#longestIdle();
    if (oldest?.idleSince === undefined) return undefined;
    return { bytes: oldest.held, stillMs: this.now() - oldest.idleSince };
  }

  /** Cuts off the answer whose reader has been away the longest. @returns bytes given back. */
  giveUp(): number {
    return this.#cutOffIdle(0);
  }

  /**
   * A body that asks `pieces` for more whenever its reader took what there was. Pieces are asked for one at a time, each in a turn of
   * the event loop of its own, are given away, and are closed when the reader goes away. An error in them resets the connection and is told to `failed`.
   */
  stream(pieces: Pieces, failed: (error: unknown) => void): ReadableStream<Uint8Array> {
    /** What was asked for and is not handed over yet. */
    let rest: Uint8Array[] = [];
    /** Handed over whole; the reader has taken it when it asks for more. */
    let spent: Uint8Array[] = [];
    let ended = false;
    let controller: ReadableStreamDefaultController<Uint8Array>;
    const end = () => {
      if (ended) return;
      ended = true;
      rest = [];
      this.#hold(answer, 0);
      // One that is being read is read to its end first.
      void Promise.resolve(pieces.return?.()).catch(() => {});
    };
    const answer: Answer = {
      held: 0,
      idleSince: undefined,
      cutOff: () => {
        this.onCutOff(answer.held);
        end();
        controller.error(new AnswerCutOff("the answer was cut off: its reader stopped"));
      },
    };
    return new ReadableStream<Uint8Array>(
      {
        start: (given) => {
          controller = given;
        },
        pull: async () => {
          answer.idleSince = undefined;
          try {
            if (rest.length === 0) {
              for (const piece of spent) releaseMemory(piece);
              spent = [];
              this.#hold(answer, 0);
              rest = await this.#inTurn(
                () => ended,
                async () => {
                  const next = await gathered(pieces);
                  // The reader went away meanwhile.
                  if (ended) {
                    for (const piece of next) releaseMemory(piece);
                    return [];
                  }
                  // A piece stays in memory until its last part is taken.
                  this.#hold(
                    answer,
                    next.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
                  );
                  spent = next;
                  return next;
                },
              );
            }
            if (ended) return;
            const [first, ...others] = rest;
            if (first === undefined) {
              end();
              controller.close();
              return;
            }
            rest = first.length > CHUNK_BYTES ? [first.subarray(CHUNK_BYTES), ...others] : others;
            answer.idleSince = this.now();
            this.beforePiece();
            controller.enqueue(first.subarray(0, CHUNK_BYTES));
          } catch (error) {
            if (ended) return;
            failed(error);
            end();
            controller.error(error);
          }
        },
        cancel: end,
      },
      { highWaterMark: 0 },
    );
  }

  /** One piece of all answers in each turn of the event loop, and only when there is room: nobody waits behind two of them. */
  async #inTurn(isOver: () => boolean, work: () => Promise<Uint8Array[]>): Promise<Uint8Array[]> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      while (!isOver() && !this.#hasRoom()) await this.#freed();
      return isOver() ? [] : await work();
    } finally {
      later(resolve);
    }
  }

  #hold(answer: Answer, bytes: number): void {
    this.#held += bytes - answer.held;
    answer.held = bytes;
    if (bytes > 0) this.#holding.add(answer);
    else this.#holding.delete(answer);
    if (this.#waiting !== undefined) this.#waiting();
  }

  #hasRoom(): boolean {
    return this.#held < this.limitBytes();
  }

  /** Resolves when something was given back. Meanwhile answers whose readers stopped are looked for. */
  async #freed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = resolve;
    const timer = setInterval(() => this.#cutOffIdle(STALLED_MS), LOOK_MS);
    await promise;
    clearInterval(timer);
    this.#waiting = undefined;
  }

  #cutOffIdle(atLeastMs: number): number {
    const oldest = this.#longestIdle();
    if (oldest?.idleSince === undefined || this.now() - oldest.idleSince < atLeastMs) return 0;
    const { held } = oldest;
    oldest.cutOff();
    return held;
  }

  #longestIdle(): Answer | undefined {
    let oldest: Answer | undefined;
    for (const answer of this.#holding)
      if (
        answer.idleSince !== undefined &&
        answer.idleSince < (oldest?.idleSince ?? Number.POSITIVE_INFINITY)
      )
        oldest = answer;
    return oldest;
  }
}

/** Small pieces together, a large one alone and last; none at the end. */
async function gathered(pieces: Pieces): Promise<Uint8Array[]> {
  const small: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < CHUNK_BYTES) {
    const asked = pieces.next();
    const next = asked instanceof Promise ? await asked : asked;
    if (next.done === true) break;
    const piece = typeof next.value === "string" ? Buffer.from(next.value) : next.value;
    if (piece.length >= CHUNK_BYTES) return small.length === 0 ? [piece] : [Buffer.concat(small), piece];
    if (piece.length === 0) continue;
    small.push(piece);
    bytes += piece.length;
  }
  return small.length === 0 ? [] : [Buffer.concat(small)];
}
