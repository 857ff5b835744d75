// What a client of the CLI's side presents: the one access token, and behind its last colon the namespace that it wants to be in
// (HTTP contract, A1). The namespace is free choice: it separates, and proves nothing.
import { isToken } from "../../auth/bearer.ts";

export const DEFAULT_NAMESPACE = "default";

/** Undefined for what cannot be a token, whatever the hub's is. */
export function splitAccessToken(text: string): { readonly token: string; readonly ns: string } | undefined {
  const presented = text.trim();
  if (presented === "") return undefined;
  const colon = presented.lastIndexOf(":");
  if (colon < 0) return { token: presented, ns: DEFAULT_NAMESPACE };
  const token = presented.slice(0, colon);
  const ns = presented.slice(colon + 1);
  return isPlain(token) && isPlain(ns) ? { token, ns } : undefined;
}

const isPlain = (part: string): boolean => part !== "" && part === part.trim();

export class AccessToken {
  constructor(private readonly token: string) {}

  /** The namespace that `text` lets its sender into; undefined when it is not the hub's token. Compares in constant time. */
  namespaceOf(text: string): string | undefined {
    const presented = splitAccessToken(text);
    return presented !== undefined && isToken(presented.token, this.token) ? presented.ns : undefined;
  }
}
