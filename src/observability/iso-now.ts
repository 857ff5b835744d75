// The present time as log lines have it. Made once a millisecond: a busy server writes many lines in one.

let at = Number.NaN;
let text = "";

export function isoNow(): string {
  const now = Date.now();
  if (now !== at) {
    at = now;
    text = new Date(now).toISOString();
  }
  return text;
}
