// Relays opaque calls between two sockets of one owner. The newest registrant answers; the caller is skipped while another socket holds
// the method. A call waits for a target that is just reconnecting, and fails at once when its target's socket closes. Nothing that is
// sent can throw out of here.
import { JsonText } from "../server/json-text.ts";
import type { RelayFailure, RelayOutcome } from "./outcome.ts";
import { Registrations } from "./registrations.ts";
import { AnswerTooLarge, type RpcTarget } from "./target.ts";
import { type WaitingLimits, WaitingParams, type WaitingParamsParts } from "./waiting-params.ts";

export interface RelayTiming {
  /** How long a call waits for its method to be registered; 0 for not at all. */
  readonly waitMs: number;
  /** How long a target may take to answer. */
  readonly answerMs: number;
  /** How long a target that unregistered, but lives, may still answer or come back. */
  readonly unregisteredMs: number;
}

export interface RelayLimits extends WaitingLimits {
  /** Methods of one socket. */
  readonly methods: number;
  /** Characters of a method's name. */
  readonly methodLength: number;
}

export interface RelayParts extends WaitingParamsParts {
  readonly timing: RelayTiming;
  readonly limits: RelayLimits;
}

export interface RelayCall {
  /** Only sockets of the same owner are asked. */
  readonly owner: string;
  /** The socket that calls. Whoever calls without a socket has a name that is no socket's. */
  readonly caller: string;
  readonly method: string;
  readonly params: unknown;
  /** Instead of the usual time for an answer. */
  readonly answerMs?: number | undefined;
  /** Called when its target has been asked: the parameters are on their way. */
  readonly sent?: (() => void) | undefined;
}

/** A call that its target has been asked. */
interface PendingCall {
  readonly key: string;
  readonly fail: (code: RelayFailure) => void;
  /** Runs while the target has unregistered the method. */
  grace?: Timer | undefined;
}

export class RpcRelay {
  readonly #registrations: Registrations;
  readonly #waiting: WaitingParams;
  /** By the id of their target. */
  readonly #pending = new Map<string, Set<PendingCall>>();

  constructor(private readonly parts: RelayParts) {
    this.#registrations = new Registrations(parts.limits.methods);
    this.#waiting = new WaitingParams(parts);
  }

  /** Idempotent. False when the name is unusable or the socket holds too many. */
  register(owner: string, method: string, target: RpcTarget): boolean {
    const key = keyOf(owner, method);
    if (method.length > this.parts.limits.methodLength) return false;
    if (!this.#registrations.add(key, target)) return false;
    for (const call of this.#pending.get(target.id) ?? []) if (call.key === key) endGrace(call);
    return true;
  }

  unregister(owner: string, method: string, targetId: string): void {
    const key = keyOf(owner, method);
    this.#registrations.remove(key, targetId);
    for (const call of this.#pending.get(targetId) ?? [])
      if (call.key === key)
        call.grace ??= setTimeout(() => call.fail("disconnected"), this.parts.timing.unregisteredMs);
  }

  /** The socket closed: its registrations end, and the calls it was answering fail now. */
  disconnect(targetId: string): void {
    this.#registrations.removeAll(targetId);
    for (const call of [...(this.#pending.get(targetId) ?? [])]) call.fail("disconnected");
  }

  /** Never rejects. */
  async call(call: RelayCall): Promise<RelayOutcome> {
    if (call.method.length > this.parts.limits.methodLength) return failed("not-available");
    const waiting = this.#waiting.admit(call.owner, call.caller, call.params);
    if (typeof waiting === "string") return failed(waiting);
    try {
      const sent = () => {
        // A text that is written holds nothing here any more.
        if (call.params instanceof JsonText) waiting.handOn();
        call.sent?.();
      };
      return await Promise.race([
        this.#answer({ ...call, sent }),
        waiting.givenUp.then(() => failed("too-many")),
      ]);
    } finally {
      waiting.release();
    }
  }

  async #answer(call: RelayCall): Promise<RelayOutcome> {
    const target = await this.#target(keyOf(call.owner, call.method), call.caller);
    return typeof target === "string" ? failed(target) : await this.#ask(target, call);
  }

  async #target(key: string, caller: string): Promise<RpcTarget | RelayFailure> {
    const present = this.#registrations.newest(key, caller);
    if (present !== undefined) return present;
    const { waitMs } = this.parts.timing;
    if (waitMs === 0) return "not-available";
    await this.#registrations.next(key, waitMs);
    return this.#registrations.newest(key, caller) ?? "not-available";
  }

  #ask(target: RpcTarget, { owner, method, params, answerMs, sent }: RelayCall): Promise<RelayOutcome> {
    const { promise, resolve } = Promise.withResolvers<RelayOutcome>();
    const pending = this.#pending.get(target.id) ?? new Set();
    this.#pending.set(target.id, pending);
    const settle = (outcome: RelayOutcome) => {
      // An answer that comes after the call's end must not touch what the target is asked since.
      if (!pending.delete(call)) return;
      endGrace(call);
      if (pending.size === 0) this.#pending.delete(target.id);
      resolve(outcome);
    };
    const call: PendingCall = { key: keyOf(owner, method), fail: (code) => settle(failed(code)) };
    pending.add(call);
    target.request(method, params, answerMs ?? this.parts.timing.answerMs).then(
      (answer) => settle({ ok: true, ...answer }),
      (error: unknown) => call.fail(error instanceof AnswerTooLarge ? "answer-too-large" : "timed-out"),
    );
    sent?.();
    return promise;
  }
}

/** No two pairs have the same key, whatever characters they have. */
function keyOf(owner: string, method: string): string {
  return `${owner.length} ${owner}${method}`;
}

function failed(code: RelayFailure): RelayOutcome {
  return { ok: false, code };
}

/** The target registered the method again in time, or the call is over. */
function endGrace(call: PendingCall): void {
  clearTimeout(call.grace);
  call.grace = undefined;
}
