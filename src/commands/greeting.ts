// What a newcomer reads after the start: where to point the app and the CLI.
import { networkInterfaces } from "node:os";
import type { Config } from "../config/settings.ts";

export interface Greeting {
  readonly config: Pick<Config, "dataDir" | "publicUrl" | "registration">;
  readonly firstRun: boolean;
  /** A person watches. */
  readonly terminal: boolean;
  readonly local: string;
  /** Addresses of this machine in its networks. */
  readonly network: readonly string[];
}

/** The URLs under which a server that listens on `host` can be reached. */
export function addresses(host: string, port: number, secure: boolean): Pick<Greeting, "local" | "network"> {
  const everywhere = host === "0.0.0.0" || host === "::";
  const scheme = secure ? "https" : "http";
  const url = (address: string) => `${scheme}://${address.includes(":") ? `[${address}]` : address}:${port}`;
  if (!everywhere) return { local: url(host), network: [] };
  const network = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === "IPv4")
    .map(({ address }) => url(address));
  return { local: url("localhost"), network };
}

export async function greeting({ config, firstRun, terminal, local, network }: Greeting): Promise<string> {
  const reachable = config.publicUrl ?? network[0] ?? local;
  const phonesReach = reachable !== local;
  const app = [
    ...new Set([...(config.publicUrl === undefined ? [] : [config.publicUrl]), ...network, local]),
  ];
  return [
    "",
    firstRun
      ? `Roost is running. Its data is in ${config.dataDir} (made just now).`
      : `Roost is running. Its data is in ${config.dataDir}.`,
    "",
    '  In the Happy app: Settings, Relay server (or "custom server" on the first screen), enter',
    ...app.map((url) => `      ${url}`),
    "",
    ...(phonesReach && firstRun && terminal ? [await drawn(reachable), ""] : []),
    ...(firstRun && config.registration === "claim"
      ? [
          '  The first app that signs in owns this server. Let others in with "roost invite" or "roost accounts".',
          "",
        ]
      : []),
    "  For the happy CLI, on each machine with agents:",
    `      export HAPPY_SERVER_URL=${reachable}`,
    "      happy",
    "",
    "",
  ].join("\n");
}

/** Loaded for the one start in a lifetime that shows it. */
async function drawn(url: string): Promise<string> {
  const { qrCode } = await import("../cli/qr-code.ts");
  return qrCode(url);
}
