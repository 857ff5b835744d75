// What a newcomer reads after the start: where the server is, and what each protocol's clients need of that.
import type { HouseConfig } from "../protocol/house-settings.ts";
import type { GreetingFacts, ProtocolManifest } from "../protocol/manifest.ts";
import { localhostUrl, networkUrls } from "../server/machine-addresses.ts";

/** The URLs under which a server that listens on `host` can be reached. */
export function addresses(
  host: string,
  port: number,
  secure: boolean,
): Pick<GreetingFacts<unknown>, "local" | "network"> {
  return { local: localhostUrl(host, port, secure), network: networkUrls(host, port, secure) };
}

interface Greeting<C> extends Pick<ProtocolManifest<C & HouseConfig>, "greeting"> {
  /** Its own; that of the server when absent. */
  readonly firstRun?: boolean;
}

export async function greeting<C extends Pick<HouseConfig, "dataDir">>(
  facts: GreetingFacts<C>,
  protocols: readonly Greeting<C>[],
): Promise<string> {
  const { config, firstRun } = facts;
  const parts = await Promise.all(
    protocols.map(
      ({ greeting: of, firstRun: isNew = firstRun }) =>
        of?.({ ...facts, firstRun: isNew } as GreetingFacts<C & HouseConfig>) ?? [],
    ),
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
