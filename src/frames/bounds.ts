// What one caller can take of the hub from the others, as names and sentences (see limits/bounds.ts).
import type { BoundCatalogue } from "../limits/bounds.ts";

export const FRAMES_BOUNDS = {
  "frames-clients":
    "an address or identity holds too many clients of the frames hub; a further one was refused",
  "frames-connections": "an address or identity connects to the frames hub too often; it was asked to wait",
  "frames-messages":
    "an address, identity or connection sends to the frames hub faster than it may; messages were refused",
  "frames-queues": "queues of the frames hub fill their memory; its slowest readers were closed",
} as const satisfies BoundCatalogue;
