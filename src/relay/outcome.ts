// What becomes of a relayed call. Failures are codes: each protocol has its own sentence for a code, and figures count codes.

export type RelayFailure =
  /** No socket of the owner registered the method in time. */
  | "not-available"
  /** Nobody but the caller itself registered the method. */
  | "own-method"
  /** The target did not answer in time. */
  | "timed-out"
  /** The target's socket closed, or it unregistered the method and did not come back in time. */
  | "disconnected"
  | "params-too-large"
  | "answer-too-large"
  /** The caller, its owner or the whole server has too much waiting already. */
  | "too-many";

export type RelayOutcome =
  /** `result` is absent when the target answered with nothing. */
  { readonly ok: true; readonly result?: unknown } | { readonly ok: false; readonly code: RelayFailure };
