// Asks a client to come again: the header that says when.

/** With `Retry-After`, in whole seconds (RFC 9110, 10.2.3). */
export function later(answer: Response, waitMs: number): Response {
  answer.headers.set("retry-after", String(secondsOf(waitMs)));
  return answer;
}

/** At least one: a client that is told 0 comes again at once. */
export const secondsOf = (waitMs: number): number => Math.max(1, Math.ceil(waitMs / 1_000));
