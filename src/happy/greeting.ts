// What somebody reads after the start who wants to use the Happy clients: where to point the app and the CLI.
import type { GreetingFacts } from "../protocol/manifest.ts";
import type { HappyConfig } from "./settings.ts";

export async function greeting({
  config,
  firstRun,
  terminal,
  local,
  network,
}: GreetingFacts<Pick<HappyConfig, "publicUrl" | "happyRegistration">>): Promise<string[]> {
  const reachable = config.publicUrl ?? network[0] ?? local;
  const phonesReach = reachable !== local;
  const app = [
    ...new Set([...(config.publicUrl === undefined ? [] : [config.publicUrl]), ...network, local]),
  ];
  return [
    '  In the Happy app: Settings, Relay server (or "custom server" on the first screen), enter',
    ...app.map((url) => `      ${url}`),
    "",
    ...(phonesReach && firstRun && terminal ? [await drawn(reachable), ""] : []),
    ...(firstRun && config.happyRegistration === "claim"
      ? [
          '  The first app that signs in owns this server. Let others in with "roost invite" or "roost accounts".',
          "",
        ]
      : []),
    "  For the happy CLI, on each machine with agents:",
    `      export HAPPY_SERVER_URL=${reachable}`,
    "      happy",
  ];
}

/** Loaded for the one start in a lifetime that shows it. */
async function drawn(url: string): Promise<string> {
  const { qrCode } = await import("../cli/qr-code.ts");
  return qrCode(url);
}
