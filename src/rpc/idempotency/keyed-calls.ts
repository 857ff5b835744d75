// Stage 14 (contract 10.4): a call with an idempotency key runs once. Who asks with the same key meanwhile waits for that run and hears the
// same; who asks later gets the stored answer; other data under the same key are refused. Errors free the key.
//
// A call whose caller was told of a deadline may still run: its key stays taken until the handler has really ended, and what it returns
// then is the answer of that key. So a caller who tries again after a timeout never runs it a second time beside the first.
import type { Logger } from "pino";
import type { Call } from "../pipeline/call.ts";
import type { Outcome } from "../pipeline/outcome.ts";
import type { Idempotency } from "../pipeline/parts.ts";
import { holderOf, Shares } from "../store/shares.ts";
import { asRpcError, storeError } from "../store/store-errors.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { storedText, storedValue } from "../wire/stored-value.ts";
import type { CallStore } from "./call-store.ts";
import { callId, dataHash } from "./canonical.ts";

type Kept = Exclude<Outcome, { readonly status: "error" }>;

type Settled =
  | { readonly kind: "done"; readonly outcome: Kept; readonly headers: Headers }
  | { readonly kind: "free" }
  | { readonly kind: "unknown"; readonly reason: string };

type Headers = Readonly<Record<string, string>>;

/** Of this process: one call of a key that is begun and not settled. */
class Flight {
  readonly #settled = Promise.withResolvers<Settled>();

  constructor(
    readonly id: string,
    readonly hash: string,
    readonly holder: string,
  ) {}

  get settled(): Promise<Settled> {
    return this.#settled.promise;
  }

  settle(settled: Settled): void {
    this.#settled.resolve(settled);
  }
}

/** Calls that wait for another one of their key, in all; of one holder its share. */
const WAITING = { entries: 4_096, bytes: 1 };
/** While another server runs the call. */
const POLL_MS = 50;
/** Of all answers together: one that is larger is not kept. */
const SHARE_OF_ONE = 4;

export interface KeyedCallsParts {
  readonly store: CallStore;
  readonly log: Logger;
}

export class KeyedCalls implements Idempotency {
  readonly #flights = new Map<string, Flight>();
  /** Of calls that run. */
  readonly #own = new WeakMap<Call, Flight>();
  readonly #waiting = new Shares();

  constructor(private readonly parts: KeyedCallsParts) {}

  async enter(call: Call): Promise<Outcome | undefined> {
    const key = call.asked.qos.idempotencyKey ?? "";
    const id = callId(call, key);
    const hash = dataHash(call.asked.data);
    for (;;) {
      const flight = this.#flights.get(id);
      if (flight !== undefined) {
        if (flight.hash !== hash) throw otherData();
        const settled = await this.#wait(call, flight.settled);
        if (settled.kind === "unknown") throw unknown(settled.reason);
        if (settled.kind === "done") return replay(call, settled);
        continue;
      }
      const own = new Flight(id, hash, holderOfCall(call));
      this.#flights.set(id, own);
      try {
        const known = await this.#begin(call, own);
        if (known === undefined) {
          this.#own.set(call, own);
          return undefined;
        }
        this.#settle(own, known);
        return replay(call, known);
      } catch (error) {
        this.#settle(own, { kind: "free" });
        throw error;
      }
    }
  }

  async completed(call: Call, outcome: Outcome): Promise<void> {
    const flight = this.#own.get(call);
    if (flight === undefined || outcome.status === "error") return;
    await this.#complete(call, flight, outcome);
  }

  async released(call: Call): Promise<void> {
    const flight = this.#own.get(call);
    if (flight === undefined) return;
    if (call.late === undefined) await this.#release(flight);
    else this.#whenOver(call, flight, call.late);
  }

  /** Undefined: it is ours to run. While another server runs it, asks again. @throws RpcError */
  async #begin(
    call: Call,
    { id, hash, holder }: Flight,
  ): Promise<(Settled & { readonly kind: "done" }) | undefined> {
    const isIdempotent = call.definition.idempotent === true;
    for (;;) {
      const begun = await asRpcError(
        this.parts.store.begin({
          id,
          hash,
          holder,
          isIdempotent,
          ttlMs: this.#ttlMs(call) + bounded(call.remainingMs()),
        }),
      );
      if (begun.kind === "begun") return undefined;
      if (begun.hash !== hash) throw otherData();
      if (begun.kind === "unknown") throw unknown("outcome_unknown");
      if (begun.kind === "running") {
        await this.#wait(call, Bun.sleep(POLL_MS));
        continue;
      }
      if (begun.answer === undefined) throw unknown("answer_too_large_to_keep");
      const { headers, ...outcome } = storedValue(begun.answer) as Kept & { readonly headers: Headers };
      return { kind: "done", outcome, headers };
    }
  }

  async #complete(call: Call, flight: Flight, outcome: Kept): Promise<void> {
    const { id, hash, holder } = flight;
    const headers = { ...call.headers };
    try {
      const answer = storedText({ ...outcome, headers });
      const isKept = Buffer.byteLength(answer) * SHARE_OF_ONE <= call.config.qos.idempotency_max_bytes;
      // A method that may run twice does so rather than that its key is lost.
      if (!isKept && call.definition.idempotent === true) await this.parts.store.release(id);
      else
        await this.parts.store.complete({
          id,
          hash,
          holder,
          answer: isKept ? answer : undefined,
          ttlMs: this.#ttlMs(call),
        });
      this.#settle(flight, { kind: "done", outcome, headers });
    } catch (error) {
      // It ran, and nobody can be told so later: whoever waits hears that, and so does who comes after a crash.
      this.#settle(flight, { kind: "unknown", reason: "outcome_unknown" });
      throw storeError(error);
    }
  }

  async #release(flight: Flight): Promise<void> {
    try {
      await this.parts.store.release(flight.id);
    } catch (error) {
      this.parts.log.warn(
        { err: error },
        "an idempotency key could not be freed; it is until its time is over",
      );
    } finally {
      this.#settle(flight, { kind: "free" });
    }
  }

  /** Its caller was answered; the handler goes on. */
  #whenOver(call: Call, flight: Flight, late: Promise<Outcome>): void {
    // One that never ends keeps nobody waiting longer than the key would live.
    const timer = setTimeout(
      () => {
        if (call.definition.idempotent === true) void this.#release(flight);
        else this.#settle(flight, { kind: "unknown", reason: "outcome_unknown" });
      },
      Math.min(this.#ttlMs(call), 2 ** 31 - 1),
    );
    timer.unref();
    void late.then(async (outcome) => {
      clearTimeout(timer);
      if (this.#flights.get(flight.id) !== flight) return;
      if (outcome.status === "error") await this.#release(flight);
      else await this.#complete(call, flight, outcome).catch(() => {});
    });
  }

  #settle(flight: Flight, settled: Settled): void {
    if (this.#flights.get(flight.id) === flight) this.#flights.delete(flight.id);
    flight.settle(settled);
  }

  #ttlMs(call: Call): number {
    return call.config.qos.idempotency_ttl_s * 1_000;
  }

  /** Within the call's own deadline, and while its client is there. @throws RpcError 5003, 5002, 5021 */
  async #wait<T>(call: Call, work: Promise<T>): Promise<T> {
    const holder = holderOfCall(call);
    if (!this.#waiting.mayHold(holder, WAITING, 0))
      throw rpcError(5021, "idempotency", "too many calls wait for another one of their key");
    this.#waiting.add(holder, 0, true);
    const { promise, reject } = Promise.withResolvers<never>();
    const { disconnected } = call.incoming;
    const left = () => {
      call.end("disconnect");
      reject(new RpcError(5002));
    };
    const timer = setTimeout(
      () => {
        call.end("deadline");
        reject(new RpcError(5003));
      },
      Math.min(call.remainingMs(), 2 ** 31 - 1),
    );
    disconnected?.addEventListener("abort", left, { once: true });
    if (disconnected?.aborted === true) left();
    try {
      return await Promise.race([work, promise]);
    } finally {
      this.#waiting.remove(holder, 0, true);
      clearTimeout(timer);
      disconnected?.removeEventListener("abort", left);
    }
  }
}

function replay(call: Call, { outcome, headers }: Settled & { readonly kind: "done" }): Outcome {
  Object.assign(call.headers, headers);
  return outcome;
}

const holderOfCall = ({ tenant, identity, isTenantProved }: Call): string =>
  holderOf(tenant, identity.verified, isTenantProved);

const FIELD = { field: "qos.idempotency_key" };
const otherData = () => rpcError(4011, "idempotency", "the key was used with other data", FIELD);
const unknown = (reason: string) => rpcError(4011, "idempotency", reason, FIELD);

const bounded = (ms: number): number => (Number.isFinite(ms) ? Math.ceil(ms) : 0);
