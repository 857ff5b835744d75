// Answers to idempotency keys in memory: for a server that keeps nothing. They are gone with the process.
import { steadyNow } from "../../storage/steady-time.ts";
import { Shares } from "../store/shares.ts";
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
  readonly holder: string;
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
  /** What each holder could give, in the same order. */
  readonly #done = new Map<string, Set<string>>();
  readonly #shares = new Shares();

  constructor(
    private readonly bounds: () => CallBounds,
    private readonly now: () => number = steadyNow,
  ) {}

  async begin({ id, hash, holder, ttlMs }: NewCall): Promise<Begun> {
    const known = this.#live(id);
    if (known !== undefined) {
      // Its process is this one, and whoever asks here holds no call of this id.
      if (!known.isDone) return { kind: "unknown", hash: known.hash };
      this.#remove(id);
      this.#put(id, known);
      return { kind: "done", hash: known.hash, answer: known.answer };
    }
    this.#removeSomeExpired();
    if (!this.#shares.mayHold(holder, this.bounds(), ENTRY_BYTES)) throw noRoom();
    this.#makeRoom(holder, ENTRY_BYTES);
    this.#put(id, {
      hash,
      holder,
      answer: undefined,
      isDone: false,
      bytes: ENTRY_BYTES,
      expiresAt: this.now() + ttlMs,
    });
    return { kind: "begun" };
  }

  async complete({ id, hash, holder, answer, ttlMs }: DoneCall): Promise<void> {
    this.#remove(id);
    const bytes = bytesOf(answer);
    this.#removeSomeExpired();
    this.#makeRoom(holder, bytes);
    this.#put(id, { hash, holder, answer, isDone: true, bytes, expiresAt: this.now() + ttlMs });
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
    const { holder, bytes, isDone } = entry;
    this.#entries.set(id, entry);
    this.#shares.add(holder, bytes, !isDone);
    if (!isDone) return;
    const done = this.#done.get(holder);
    if (done === undefined) this.#done.set(holder, new Set([id]));
    else done.add(id);
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { holder, bytes, isDone } = entry;
    this.#entries.delete(id);
    this.#shares.remove(holder, bytes, !isDone);
    const done = this.#done.get(holder);
    done?.delete(id);
    if (done?.size === 0) this.#done.delete(holder);
  }

  #removeSomeExpired(): void {
    const now = this.now();
    let looked = 0;
    for (const [id, { expiresAt }] of this.#entries) {
      if (++looked > STEP) break;
      if (expiresAt <= now) this.#remove(id);
    }
  }

  /** As far as there is something to give: what has run is kept whatever else goes. */
  #makeRoom(holder: string, bytes: number): void {
    const added = { entries: 1, bytes };
    for (;;) {
      const measure = this.#shares.full(this.bounds(), added);
      const giver = measure && this.#shares.giver(holder, measure, added);
      const [oldest] = (giver !== undefined && this.#done.get(giver)) || [];
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }
}

export const noRoom = () =>
  rpcError(5021, "idempotency", "too many calls with a key are running", { field: "qos.idempotency_key" });
