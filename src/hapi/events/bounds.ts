// What event streams may take of the server, as names and sentences (see limits/bounds.ts). Those of one namespace are bounded as the
// sockets of an account are, under the name that these have.
import type { BoundCatalogue } from "../../limits/bounds.ts";

export const EVENT_BOUNDS = {
  "hapi-event-streams": "as many event streams are open as may be; a further one was refused",
  "hapi-event-streams-per-address":
    "an address holds as many event streams as it may; a further one was refused",
} as const satisfies BoundCatalogue;

/** Of all namespaces together. */
export const MAX_EVENT_STREAMS = 10_000;
