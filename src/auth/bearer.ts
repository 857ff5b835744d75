// The bearer token of a request (RFC 6750, 2.1), read the way that every protocol's contract agrees on.

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
