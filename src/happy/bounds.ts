// What one account or address can take of Happy from the others, as names and sentences (see limits/bounds.ts).
import type { BoundCatalogue } from "../limits/bounds.ts";

export const HAPPY_BOUNDS = {
  "pairings-per-address":
    "an address has too many pairings that wait; those that were asked for least lately were given up",
  "account-machines": "an account has as many machines as it may; a further one was refused",
  "account-tokens": "an account has as many tokens in use as it may; the oldest was forgotten",
  "account-access-keys": "an account has as many access keys as it may; a further one was refused",
  "account-push-tokens":
    "an account has as many phones as it may; the one that registered longest ago was forgotten",
  "account-pushes": "an account has as many pushes under way as it may; a further one was refused",
} as const satisfies BoundCatalogue;
