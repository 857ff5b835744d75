// What one client can take of the hub from the others, as names and sentences (see limits/bounds.ts).
import type { BoundCatalogue } from "../limits/bounds.ts";
import { EVENT_BOUNDS } from "./events/bounds.ts";

export const HAPI_BOUNDS = {
  ...EVENT_BOUNDS,
  "hapi-note-files":
    "the files of a namespace's notes are as large as they may be; a further one was refused",
  "hapi-wrong-tokens": "an address tries too many wrong access tokens; it was asked to wait",
  "hapi-voice-recordings":
    "as many recordings are on their way to a voice service as may be; a further one was refused",
  "hapi-voice-conversations": "as many conversations by voice are open as may be; a further one was refused",
} as const satisfies BoundCatalogue;
