// What a newcomer reads after the start: where the server is, and what each protocol's clients need of that.
import { networkInterfaces } from "node:os";
import type { HouseConfig } from "../protocol/house-settings.ts";
import type { GreetingFacts, ProtocolManifest } from "../protocol/manifest.ts";

/** The URLs under which a server that listens on `host` can be reached. */
export function addresses(
  host: string,
  port: number,
  secure: boolean,
): Pick<GreetingFacts<unknown>, "local" | "network"> {
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

export async function greeting<C extends Pick<HouseConfig, "dataDir">>(
  facts: GreetingFacts<C>,
  protocols: readonly Pick<ProtocolManifest<C & HouseConfig>, "greeting">[],
): Promise<string> {
  const { config, firstRun } = facts;
  const parts = await Promise.all(
    protocols.map(({ greeting: of }) => of?.(facts as GreetingFacts<C & HouseConfig>) ?? []),
  );
  return [
    "",
    firstRun
      ? `Roost is running. Its data is in ${config.dataDir} (made just now).`
      : `Roost is running. Its data is in ${config.dataDir}.`,
    "",
    ...parts.flat(),
    "",
    "",
  ].join("\n");
}
