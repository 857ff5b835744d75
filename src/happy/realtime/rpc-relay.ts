// Relays opaque calls between two sockets of one account (realtime contract 9, decisions). The newest registrant answers; the caller
// is skipped while another holds the method. A call waits for a target that is just reconnecting, and fails at once when its
// target's socket closes. Nothing that is sent can throw out of here.
import type { MemoryCeiling, MemoryUser } from "../../limits/memory-ceiling.ts";

/** The side that answers: one connected socket. */
export interface RpcTarget {
  readonly id: string;
  /** Sends `rpc-request` and waits for the answer; rejects after `timeoutMs`, and with AnswerTooLarge. */
  request(method: string, params: unknown, timeoutMs: number): Promise<{ readonly result?: unknown }>;
}

/** The target answered with more than a call may carry. */
export class AnswerTooLarge extends Error {}

export type RpcAnswer =
  | { readonly ok: true; readonly result?: unknown }
  | { readonly ok: false; readonly error: string };

export interface RpcTiming {
  /** How long a call waits for somebody to register its method. */
  readonly waitMs: number;
  /** How long a target may take to answer. */
  readonly answerMs: number;
  /** How long a target that unregistered, but lives, may still answer. */
  readonly unregisteredMs: number;
}

export const RPC_TIMING: RpcTiming = { waitMs: 15_000, answerMs: 30_000, unregisteredMs: 4_000 };

/** Methods of one socket, and characters of a method's name. Clients register about 20 of about 60. */
const MAX_METHODS = 1_000;
const MAX_METHOD_LENGTH = 1_024;
/** Calls of one socket that wait for their answer. */
const MAX_CALLS = 1_000;
/** Bytes of the parameters of one call. */
const MAX_PARAMS_LENGTH = 8 * 1024 * 1024;
/** Bytes of parameters that one account's calls may keep waiting. */
const MAX_WAITING_LENGTH = 64 * 1024 * 1024;

const TOO_MANY: RpcAnswer = { ok: false, error: "Too many calls in flight" };

interface Flight {
  readonly method: string;
  readonly fail: (error: string) => void;
  leaving?: Timer | undefined;
}

/** A call that keeps its parameters. */
interface Waiting {
  readonly length: number;
  readonly giveUp: () => void;
}

export class RpcRelay implements MemoryUser {
  readonly name = "rpc calls";
  /** Registrants of a method, oldest first. */
  readonly #methods = new Map<string, RpcTarget[]>();
  readonly #byTarget = new Map<string, Set<string>>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #flights = new Map<string, Set<Flight>>();
  readonly #calls = new Map<string, number>();
  readonly #waitingLength = new Map<string, number>();
  readonly #held = new Set<Waiting>();
  #heldLength = 0;

  /** Parameters that wait count under the ceiling of memory, where there is one. */
  constructor(
    private readonly timing: RpcTiming = RPC_TIMING,
    private readonly memory?: MemoryCeiling,
  ) {
    memory?.join(this);
  }

  held(): number {
    return this.#heldLength;
  }

  /** Ends the call with the largest parameters. */
  giveUp(): number {
    let largest: Waiting | undefined;
    for (const call of this.#held) if (call.length > (largest?.length ?? 0)) largest = call;
    largest?.giveUp();
    return largest?.length ?? 0;
  }

  /** Idempotent. False when the name is unusable or the socket holds too many. */
  register(account: string, method: string, target: RpcTarget): boolean {
    const key = keyOf(account, method);
    const held = this.#byTarget.get(target.id) ?? new Set();
    if (method.length > MAX_METHOD_LENGTH || (held.size >= MAX_METHODS && !held.has(key))) return false;
    this.#byTarget.set(target.id, held.add(key));
    const registrants = this.#methods.get(key) ?? [];
    if (!registrants.some(({ id }) => id === target.id)) this.#methods.set(key, [...registrants, target]);
    for (const flight of this.#flights.get(target.id) ?? []) if (flight.method === key) stay(flight);
    for (const wake of this.#waiting.get(key) ?? []) wake();
    return true;
  }

  unregister(account: string, method: string, targetId: string): void {
    const key = keyOf(account, method);
    this.#remove(key, targetId);
    this.#byTarget.get(targetId)?.delete(key);
    for (const flight of this.#flights.get(targetId) ?? []) {
      if (flight.method !== key || flight.leaving !== undefined) continue;
      flight.leaving = setTimeout(() => flight.fail("RPC target disconnected"), this.timing.unregisteredMs);
    }
  }

  /** The socket closed: its registrations end, and the calls it was answering fail now. */
  drop(targetId: string): void {
    for (const key of this.#byTarget.get(targetId) ?? []) this.#remove(key, targetId);
    this.#byTarget.delete(targetId);
    for (const flight of [...(this.#flights.get(targetId) ?? [])]) flight.fail("RPC target disconnected");
  }

  /** Never rejects. */
  async call(account: string, callerId: string, method: string, params: unknown): Promise<RpcAnswer> {
    if (method.length > MAX_METHOD_LENGTH) return { ok: false, error: "RPC method not available" };
    const running = this.#calls.get(callerId) ?? 0;
    const length = lengthOf(params);
    const waiting = this.#waitingLength.get(account) ?? 0;
    if (length > MAX_PARAMS_LENGTH) return { ok: false, error: "RPC parameters too large" };
    if (running >= MAX_CALLS || waiting + length > MAX_WAITING_LENGTH) return TOO_MANY;
    if (this.memory?.fits(length) === false) return TOO_MANY;
    const { promise: givenUp, resolve } = Promise.withResolvers<RpcAnswer>();
    const held: Waiting = { length, giveUp: () => this.#release(held, resolve) };
    this.#held.add(held);
    this.#heldLength += length;
    this.#calls.set(callerId, running + 1);
    this.#waitingLength.set(account, waiting + length);
    try {
      return await Promise.race([this.#answer(account, callerId, method, params), givenUp]);
    } finally {
      this.#release(held, resolve);
      const left = (this.#calls.get(callerId) ?? 1) - 1;
      if (left > 0) this.#calls.set(callerId, left);
      else this.#calls.delete(callerId);
      const still = (this.#waitingLength.get(account) ?? length) - length;
      if (still > 0) this.#waitingLength.set(account, still);
      else this.#waitingLength.delete(account);
    }
  }

  #release(held: Waiting, resolve: (answer: RpcAnswer) => void): void {
    if (this.#held.delete(held)) this.#heldLength -= held.length;
    resolve(TOO_MANY);
  }

  async #answer(account: string, callerId: string, method: string, params: unknown): Promise<RpcAnswer> {
    const target = await this.#target(keyOf(account, method), callerId);
    if (typeof target === "string") return { ok: false, error: target };
    return await this.#ask(target, account, method, params);
  }

  async #target(key: string, callerId: string): Promise<RpcTarget | string> {
    const present = this.#newest(key, callerId);
    if (present !== undefined) return present;
    await this.#registration(key);
    return this.#newest(key, callerId) ?? "RPC method not available";
  }

  /** The newest registrant that is not the caller; a sentence when only the caller holds the method; undefined for none. */
  #newest(key: string, callerId: string): RpcTarget | string | undefined {
    const registrants = this.#methods.get(key);
    if (registrants === undefined) return undefined;
    return registrants.findLast(({ id }) => id !== callerId) ?? "Cannot call RPC on the same socket";
  }

  /** Resolves at the next registration of the method, or when the wait is over. */
  #registration(key: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting);
    const done = () => {
      clearTimeout(timer);
      waiting.delete(done);
      if (waiting.size === 0) this.#waiting.delete(key);
      resolve();
    };
    const timer = setTimeout(done, this.timing.waitMs);
    waiting.add(done);
    return promise;
  }

  #ask(target: RpcTarget, account: string, method: string, params: unknown): Promise<RpcAnswer> {
    const { promise, resolve } = Promise.withResolvers<RpcAnswer>();
    const flights = this.#flights.get(target.id) ?? new Set();
    this.#flights.set(target.id, flights);
    const settle = (answer: RpcAnswer) => {
      clearTimeout(flight.leaving);
      flights.delete(flight);
      if (flights.size === 0) this.#flights.delete(target.id);
      resolve(answer);
    };
    const flight: Flight = { method: keyOf(account, method), fail: (error) => settle({ ok: false, error }) };
    flights.add(flight);
    target.request(method, params, this.timing.answerMs).then(
      (answer) => settle({ ok: true, ...answer }),
      (error: unknown) =>
        flight.fail(error instanceof AnswerTooLarge ? "RPC answer too large" : "operation has timed out"),
    );
    return promise;
  }

  #remove(key: string, targetId: string): void {
    const left = this.#methods.get(key)?.filter(({ id }) => id !== targetId) ?? [];
    if (left.length > 0) this.#methods.set(key, left);
    else this.#methods.delete(key);
  }
}

/** Clients send encrypted text; whatever else arrives is as long as its JSON. */
function lengthOf(params: unknown): number {
  const text = typeof params === "string" ? params : JSON.stringify(params);
  return text === undefined ? 0 : Buffer.byteLength(text);
}

function keyOf(account: string, method: string): string {
  return `${account}\n${method}`;
}

/** It registered again in time: whoever waits for its answer goes on waiting. */
function stay(flight: Flight): void {
  clearTimeout(flight.leaving);
  flight.leaving = undefined;
}
