// The bearer token of a request (RFC 6750, 2.1), read the one way that every protocol's contract agrees on.

/** The token of `Authorization: Bearer <token>`, else undefined. Case-sensitive, one space, not empty (HTTP contract 1.7). */
export function bearerToken(header: string | null): string | undefined {
  if (header === null || !header.startsWith("Bearer ")) return undefined;
  return header.slice(7) || undefined;
}
