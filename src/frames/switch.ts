// Whether the frames hub is on. It stands apart so that a server without the hub loads nothing else of it.
import type { FramesConfig } from "./settings.ts";

/** Off, unless it is switched on, or was by its own keys or variables (config/hub-switch.ts). A `false` always wins. */
export function framesOn({ framesEnabled, framesHubEnabled: hubEnabled }: FramesConfig): boolean {
  if (framesEnabled === false || hubEnabled === false) return false;
  return framesEnabled === true || hubEnabled === true;
}
