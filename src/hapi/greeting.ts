// What somebody reads after the start who wants to use HAPI's clients: the address, and where the token stands. The token itself is shown
// once, to a person who watches the first start: logs keep what they are told (HTTP contract, H11).
import type { GreetingFacts } from "../protocol/manifest.ts";
import { settingsPath } from "./home/settings-file.ts";
import { placeOf } from "./place.ts";
import type { HapiConfig } from "./settings.ts";
import { isAppThere } from "./web/standing.ts";

export async function greeting({
  config,
  firstRun,
  terminal,
  local,
  network,
}: GreetingFacts<HapiConfig>): Promise<string[]> {
  const { home, known, inEffect } = placeOf(config);
  const reachable = inEffect.publicUrl ?? network[0] ?? local;
  const isGiven = config.hapiAccessToken !== undefined;
  const token = firstRun && terminal && !isGiven ? known.cliApiToken : undefined;
  return [
    "",
    "  For the hapi CLI, on each machine with agents:",
    `      export HAPI_API_URL=${reachable}`,
    isGiven
      ? "      export CLI_API_TOKEN=...   (the one that this server was given)"
      : `      export CLI_API_TOKEN=${token ?? `...   ("cliApiToken" in ${settingsPath(home)})`}`,
    "      hapi runner start",
    ...(token === undefined
      ? []
      : [
          `  The token is not shown again; it stands in ${settingsPath(home)}, and roost hapi token prints it.`,
        ]),
    isAppThere(config)
      ? `  HAPI's web app is served at ${config.hapiWebPort === undefined ? reachable : `port ${config.hapiWebPort}`}.`
      : "  HAPI's web app is not installed: roost hapi web install",
    ...(inEffect.listener === undefined || inEffect.listener.port === 0
      ? []
      : [`  HAPI alone is also at port ${inEffect.listener.port}.`]),
  ];
}
