// The one access token of a home: where it comes from, and what is wrong with one that a person has chosen (data contract, section 9).

/** Why it cannot be a token; undefined for one that can. The sentence never holds it. */
export function tokenProblem(token: string, source: string): string | undefined {
  if (token !== token.trim()) return `The access token of ${source} begins or ends with a blank.`;
  if (token.includes(":"))
    return `The access token of ${source} has a colon in it: a namespace is what clients put behind the token, and is no part of it. Remove the colon and what follows.`;
  return undefined;
}

const COMMON = [
  "password",
  "secret",
  "token",
  "admin",
  "test",
  "hapi",
  "changeme",
  "default",
  "demo",
  "letmein",
];
const SHORT = 16;

/** Whether it could be guessed. */
export function isWeak(token: string): boolean {
  const lower = token.toLowerCase();
  return (
    token.length < SHORT ||
    /^\d+$/.test(token) ||
    /^(.)\1*$/.test(token) ||
    COMMON.some((word) => lower.startsWith(word))
  );
}

export const newAccessToken = (): string =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
