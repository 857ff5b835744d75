// `app-state`: whether a person is looking at the app; decides whether pushes are held back (realtime contract 6.16).
import { z } from "zod";
import type { SocketEvent } from "../connection.ts";

const schema = z.object({ state: z.literal("active") });

export const appState: SocketEvent = {
  event: "app-state",
  handle: ({ facts }, payload) => {
    facts.focus = schema.safeParse(payload).success ? "active" : "background";
  },
};
