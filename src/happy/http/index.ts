// Every HTTP endpoint of the Happy protocol, in no particular order: the app sorts static paths before parameters.
import { authEndpoints } from "./auth.ts";
import type { Endpoint } from "./kit/endpoint.ts";
import { machineEndpoints } from "./machines.ts";
import { messageEndpoints } from "./messages.ts";
import { banner, health } from "./root.ts";
import { sessionEndpoints } from "./sessions.ts";

export const happyEndpoints: readonly Endpoint[] = [
  banner,
  health,
  ...authEndpoints,
  ...sessionEndpoints,
  ...messageEndpoints,
  ...machineEndpoints,
];
