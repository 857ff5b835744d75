// The time of what a client says happened now. That it arrived over a live socket is the truth; the client's clock only says where
// within the last minute. A laptop that slept, or whose clock is a year off, is heard like any other.

/** A sender's time that is older than this says nothing about when it was sent. */
const BELIEVED_MS = 60_000;

/** Whole Unix milliseconds, never later than `now`. */
export function arrivalTime(claimed: number, now: number): number {
  const at = Math.trunc(claimed);
  return at <= now && at >= now - BELIEVED_MS ? at : now;
}
