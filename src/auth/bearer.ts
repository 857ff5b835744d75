// The bearer token of a request (RFC 6750, 2.1), read the way that every protocol's contract agrees on.
import { hash, timingSafeEqual } from "node:crypto";

/**
 * The token of `Authorization: Bearer <token>`, else undefined. Case-sensitive, not empty, and after one blank whatever follows; where
 * several blanks are allowed, there is none in the token.
 */
export function bearerToken(
  header: string | null,
  after: "one blank" | "several blanks" = "one blank",
): string | undefined {
  if (header === null || !header.startsWith("Bearer ")) return undefined;
  const rest = header.slice(7);
  return (after === "one blank" ? rest : /^ *(\S+)$/.exec(rest)?.[1]) || undefined;
}

/** Whether it is the token, told in a time that says nothing of how near it was. */
export function isToken(given: string | undefined, token: string): boolean {
  return (
    given !== undefined && timingSafeEqual(hash("sha256", given, "buffer"), hash("sha256", token, "buffer"))
  );
}
