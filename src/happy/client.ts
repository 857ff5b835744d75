// How Happy's clients name themselves: the header, and the types that the original's figures know (HTTP contract 1.8 and 3.5).
import { type ClientLabel, ClientLabels } from "../ops/client-label.ts";

export const CLIENT_HEADER = "x-happy-client";

/** One set for all figures: a client has the same label everywhere. */
const labels = new ClientLabels([
  "ios",
  "android",
  "web",
  "desktop",
  "cli",
  "cli-coding-session",
  "cli-daemon",
  "cli-control-plane",
  "happy-agent",
]);

/** The same object for the same client. */
export const clientLabel = (text: string | null | undefined): ClientLabel => labels.of(text);

/** What the original's figures of requests say beside route and status. */
export const REQUEST_LABELS = {
  app: "happy-server",
  clientOf: ({ headers }: Request): ClientLabel => labels.of(headers.get(CLIENT_HEADER)),
};
