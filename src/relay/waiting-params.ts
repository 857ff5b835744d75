// What calls hold in memory while they wait is bounded: for one call, one caller, one owner, and under the ceiling of the whole server.
// When other parts need the memory, the call with the largest parameters is given up.
import type { MemoryCeiling, MemoryUser } from "../limits/memory-ceiling.ts";
import { JsonText } from "../server/json-text.ts";

export interface WaitingLimits {
  /** Calls of one caller that wait for their answer. */
  readonly calls: number;
  /** Bytes of the parameters of one call. */
  readonly paramsBytes: number;
  /** Bytes of parameters that all calls of one owner keep waiting. */
  readonly ownerBytes: number;
}

/** One admitted call. */
export interface WaitingCall {
  readonly bytes: number;
  /** The parameters are on their way, and counted there. */
  handOn(): void;
  /** Resolves when the call is given up or released. */
  readonly givenUp: Promise<void>;
  /** Idempotent. */
  release(): void;
}

export interface WaitingParamsParts {
  /** In the figures of memory. */
  readonly name: string;
  readonly limits: WaitingLimits;
  readonly memory?: MemoryCeiling | undefined;
}

export class WaitingParams implements MemoryUser {
  readonly name: string;
  readonly #waiting = new Set<WaitingCall>();
  readonly #callsOf = new Map<string, number>();
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  constructor(private readonly parts: WaitingParamsParts) {
    this.name = parts.name;
    parts.memory?.join(this);
  }

  held(): number {
    return this.#bytes;
  }

  giveUp(): number {
    let largest: WaitingCall | undefined;
    for (const call of this.#waiting) if (call.bytes > (largest?.bytes ?? 0)) largest = call;
    largest?.release();
    return largest?.bytes ?? 0;
  }

  admit(owner: string, caller: string, params: unknown): WaitingCall | "params-too-large" | "too-many" {
    const { limits, memory } = this.parts;
    const bytes = bytesOf(params);
    if (bytes > limits.paramsBytes) return "params-too-large";
    if ((this.#callsOf.get(caller) ?? 0) >= limits.calls) return "too-many";
    if ((this.#bytesOf.get(owner) ?? 0) + bytes > limits.ownerBytes) return "too-many";
    if (memory?.fits(bytes) === false) return "too-many";
    const { promise: givenUp, resolve } = Promise.withResolvers<void>();
    const call = {
      bytes,
      givenUp,
      handOn: () => {
        if (!this.#waiting.has(call)) return;
        this.#count(owner, caller, 0, -call.bytes);
        call.bytes = 0;
      },
      release: () => {
        if (!this.#waiting.delete(call)) return;
        this.#count(owner, caller, -1, -call.bytes);
        resolve();
      },
    };
    this.#waiting.add(call);
    this.#count(owner, caller, 1, bytes);
    return call;
  }

  #count(owner: string, caller: string, calls: number, bytes: number): void {
    this.#bytes += bytes;
    addTo(this.#callsOf, caller, calls);
    addTo(this.#bytesOf, owner, bytes);
  }
}

/** Clients send encrypted text; whatever else arrives is as long as its JSON. */
function bytesOf(params: unknown): number {
  if (params instanceof JsonText) return params.bytes;
  const text = typeof params === "string" ? params : JSON.stringify(params);
  return text === undefined ? 0 : Buffer.byteLength(text);
}

function addTo(sums: Map<string, number>, key: string, amount: number): void {
  const sum = (sums.get(key) ?? 0) + amount;
  if (sum > 0) sums.set(key, sum);
  else sums.delete(key);
}
