// What one client can take of the hub from the others, as names and sentences (see limits/bounds.ts).
import type { BoundCatalogue } from "../limits/bounds.ts";
import { EVENT_BOUNDS } from "./events/bounds.ts";

export const HAPI_BOUNDS = {
  ...EVENT_BOUNDS,
  "hapi-wrong-tokens": "an address tries too many wrong access tokens; it was asked to wait",
} as const satisfies BoundCatalogue;
