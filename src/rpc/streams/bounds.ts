// What calls and streams may take of the server, as names and sentences (see limits/bounds.ts).
import type { BoundCatalogue } from "../../limits/bounds.ts";

export const STREAM_BOUNDS = {
  "rpc-bodies":
    "calls of a network, or of all, hold as many bytes as they may; a further one was asked to come again",
  "rpc-streams": "as many streams of calls are open as may be; a further one was refused",
  "rpc-streams-away":
    "a caller has lost the connections of as many streams as may wait for it; the one that waited longest was ended",
} as const satisfies BoundCatalogue;
