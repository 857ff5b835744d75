// When a session or machine counts as there, and what of a keep-alive is worth telling (hapi-socket 10, hapi-http-sse A8). Spans are
// the caller's monotonic milliseconds; only what a client says and is told is wall-clock time.

export const SESSION_GONE_MS = 30_000;
export const MACHINE_GONE_MS = 45_000;
export const SWEEP_MS = 5_000;
/** After a web message the session counts as thinking, though its CLI does not know yet. */
export const THINKING_HOLD_MS = 15_000;
/** A keep-alive that changes nothing is told again after so long. */
export const TELL_AGAIN_MS = 10_000;

const TOO_OLD_MS = 10 * 60 * 1000;

/**
 * The time of something that a client says happened: never later than now. Undefined when it says nothing of worth: no number, or more
 * than 10 minutes ago.
 */
export function claimedTime(claimed: number, now: number): number | undefined {
  if (!Number.isFinite(claimed)) return undefined;
  const at = Math.trunc(claimed);
  if (at >= now) return now;
  return now - at > TOO_OLD_MS ? undefined : at;
}
