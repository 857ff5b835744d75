// What streams may take of the server, as names and sentences (see limits/bounds.ts).
import type { BoundCatalogue } from "../../limits/bounds.ts";

export const STREAM_BOUNDS = {
  "rpc-streams": "as many streams of calls are open as may be; a further one was refused",
} as const satisfies BoundCatalogue;
