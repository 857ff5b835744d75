// Whether the HAPI protocol is on, and whether somebody asked for it in words. It stands apart so that a server without it loads nothing
// else of it.
import type { HapiConfig } from "./settings.ts";

type Switches = Pick<HapiConfig, "hapiEnabled" | "hapiHome" | "hapiPort">;

/** While parts of it are missing. */
const ON_BY_DEFAULT = false;

/** Then it has to work, or the server does not start. */
export const hapiAskedFor = ({ hapiEnabled, hapiHome, hapiPort }: Switches): boolean =>
  hapiEnabled ?? (hapiHome !== undefined || typeof hapiPort === "number");

export const hapiOn = (config: Switches): boolean =>
  config.hapiEnabled ?? (hapiAskedFor(config) || ON_BY_DEFAULT);
