// A web app that nobody can reach is said in the log at a start, and never a reason not to start (HTTP contract, H5).
import type { Logger } from "pino";
import type { InEffect } from "../in-effect.ts";
import type { HapiConfig } from "../settings.ts";
import type { WebAppSite } from "./site.ts";

export interface HiddenParts {
  readonly site: WebAppSite;
  readonly config: Pick<HapiConfig, "hapiWebDir" | "hapiWebPort">;
  readonly inEffect: InEffect;
  readonly rootIsTaken: boolean;
  readonly log: Logger;
}

export async function sayWhenHidden({
  site,
  config,
  inEffect,
  rootIsTaken,
  log,
}: HiddenParts): Promise<void> {
  const { hapiWebDir: folder, hapiWebPort } = config;
  if (!(await site.isThere())) {
    if (folder !== undefined)
      log.warn({ folder }, "the folder of HAPI's web app has no index.html and is not served");
    return;
  }
  if (rootIsTaken && hapiWebPort === undefined && inEffect.listener === undefined)
    log.warn("another web app is at the root of this server: HAPI's needs a port of its own (hapi-web-port)");
}
