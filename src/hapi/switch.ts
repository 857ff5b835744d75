// Whether the HAPI protocol is on, and whether somebody asked for it in words. It stands apart so that a server without it loads nothing
// else of it.
import type { HapiConfig } from "./settings.ts";

type Switches = Pick<HapiConfig, "hapiEnabled" | "hapiHome" | "hapiPort">;

/** Then it has to work, or the server does not start. */
export const hapiAskedFor = ({ hapiEnabled, hapiHome, hapiPort }: Switches): boolean =>
  hapiEnabled ?? (hapiHome !== undefined || typeof hapiPort === "number");

/** By itself: its token is made on the first start and guards everything. */
export const hapiOn = ({ hapiEnabled }: Pick<Switches, "hapiEnabled">): boolean => hapiEnabled !== false;
