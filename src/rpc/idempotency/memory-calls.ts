// Answers to idempotency keys in memory: for a server that keeps nothing. They are gone with the process.
import { steadyNow } from "../../storage/steady-time.ts";
import { rpcError } from "../wire/rpc-error.ts";
import {
  type Begun,
  bytesOf,
  type CallBounds,
  type CallStore,
  type DoneCall,
  ENTRY_BYTES,
  type NewCall,
} from "./call-store.ts";

interface Entry {
  readonly hash: string;
  readonly answer: string | undefined;
  readonly isDone: boolean;
  readonly bytes: number;
  readonly expiresAt: number;
}

/** Of entries that are over: so many at each step. */
const STEP = 64;

export class MemoryCalls implements CallStore {
  /** The one that was not used for the longest time first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(
    private readonly bounds: () => CallBounds,
    private readonly now: () => number = steadyNow,
  ) {}

  async begin({ id, hash, ttlMs }: NewCall): Promise<Begun> {
    const known = this.#live(id);
    if (known !== undefined) {
      this.#entries.delete(id);
      this.#entries.set(id, known);
      // Its process is this one, and whoever asks here holds no call of this id.
      if (!known.isDone) return { kind: "unknown", hash: known.hash };
      return { kind: "done", hash: known.hash, answer: known.answer };
    }
    this.#makeRoom(1, ENTRY_BYTES);
    this.#put(id, {
      hash,
      answer: undefined,
      isDone: false,
      bytes: ENTRY_BYTES,
      expiresAt: this.now() + ttlMs,
    });
    return { kind: "begun" };
  }

  async complete({ id, hash, answer, ttlMs }: DoneCall): Promise<void> {
    this.#remove(id);
    const bytes = bytesOf(answer);
    this.#makeRoom(1, bytes, true);
    this.#put(id, { hash, answer, isDone: true, bytes, expiresAt: this.now() + ttlMs });
  }

  async release(id: string): Promise<void> {
    if (this.#entries.get(id)?.isDone === false) this.#remove(id);
  }

  async removeExpired(): Promise<number> {
    const now = this.now();
    let removed = 0;
    for (const [id, { expiresAt }] of this.#entries) {
      if (expiresAt > now) continue;
      this.#remove(id);
      removed++;
    }
    return removed;
  }

  async close(): Promise<void> {}

  #live(id: string): Entry | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.expiresAt > this.now()) return entry;
    this.#remove(id);
    return undefined;
  }

  #put(id: string, entry: Entry): void {
    this.#entries.set(id, entry);
    this.#bytes += entry.bytes;
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#bytes -= entry.bytes;
  }

  /** `mustFit`: what has run is kept whatever else goes. */
  #makeRoom(entries: number, bytes: number, mustFit = false): void {
    const bounds = this.bounds();
    const isOver = () => this.#entries.size + entries > bounds.entries || this.#bytes + bytes > bounds.bytes;
    const now = this.now();
    let looked = 0;
    for (const [id, { expiresAt }] of this.#entries) {
      if (++looked > STEP) break;
      if (expiresAt <= now) this.#remove(id);
    }
    if (!isOver()) return;
    for (const [id, { isDone }] of this.#entries) {
      if (!isOver()) return;
      if (isDone) this.#remove(id);
    }
    if (isOver() && !mustFit) throw noRoom();
  }
}

export const noRoom = () =>
  rpcError(5021, "idempotency", "too many calls with a key are running", { field: "qos.idempotency_key" });
