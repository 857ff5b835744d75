// Happy's side of the relay (realtime contract 9): its waits, its bounds, and its sentence for every code.
import type { MemoryCeiling } from "../../limits/memory-ceiling.ts";
import type { RelayFailure, RelayOutcome } from "../../relay/outcome.ts";
import { type RelayLimits, type RelayTiming, RpcRelay } from "../../relay/rpc-relay.ts";

export const RPC_TIMING: RelayTiming = { waitMs: 15_000, answerMs: 30_000, unregisteredMs: 4_000 };

/** Clients register about 20 of about 60 methods. */
const LIMITS: RelayLimits = {
  methods: 1_000,
  methodLength: 1_024,
  calls: 1_000,
  paramsBytes: 8 * 1024 * 1024,
  ownerBytes: 64 * 1024 * 1024,
};

export function happyRelay(timing: RelayTiming = RPC_TIMING, memory?: MemoryCeiling): RpcRelay {
  return new RpcRelay({ name: "rpc calls", timing, limits: LIMITS, memory });
}

/** What the caller of `rpc-call` is told. */
export type RpcAnswer =
  | { readonly ok: true; readonly result?: unknown }
  | { readonly ok: false; readonly error: string };

const SENTENCES: Readonly<Record<RelayFailure, string>> = {
  "not-available": "RPC method not available",
  "own-method": "Cannot call RPC on the same socket",
  "timed-out": "operation has timed out",
  disconnected: "RPC target disconnected",
  "params-too-large": "RPC parameters too large",
  "answer-too-large": "RPC answer too large",
  "too-many": "Too many calls in flight",
};

export function rpcAnswer(outcome: RelayOutcome): RpcAnswer {
  return outcome.ok ? outcome : { ok: false, error: SENTENCES[outcome.code] };
}
