// A look around before anything is opened: what would end the start, or let the server go on without the hub (data contract, 7.8).
import { existsSync } from "node:fs";
import { tokenProblem } from "./home/access-token.ts";
import { GIVEN } from "./home/home.ts";
import { isHubAt } from "./home/original-hub.ts";
import { checkSecretFiles } from "./home/secret-files.ts";
import { settingsPath } from "./home/settings-file.ts";
import { USUAL_PORT } from "./in-effect.ts";
import { placeOf } from "./place.ts";
import type { HapiConfig } from "./settings.ts";

/** @throws Error with a sentence. That another program has the database open is for who locks the home. */
export async function look(config: HapiConfig): Promise<void> {
  const { home, known, inEffect } = placeOf(config);
  const given = config.hapiAccessToken;
  const problem =
    (given === undefined ? undefined : tokenProblem(given, GIVEN)) ??
    (known.cliApiToken === undefined ? undefined : tokenProblem(known.cliApiToken, settingsPath(home)));
  if (problem !== undefined) throw new Error(problem);
  checkSecretFiles(home);
  for (const [host, port] of places(config, { home, known, inEffect }))
    if (await isHubAt(host, port))
      throw new Error(
        `A HAPI hub answers at port ${port} of ${host}: it may be using ${home}. Stop it first, or choose another port with --hapi-port.`,
      );
}

/** Where it would listen that the home belongs to, and where the hub's own listener shall. */
function places(
  config: HapiConfig,
  { home, known, inEffect: { listener } }: ReturnType<typeof placeOf>,
): (readonly [host: string, port: number])[] {
  const host = known.listenHost ?? "127.0.0.1";
  // Of the home in the data folder nobody but us has said where it listens.
  const isTakenOver = config.hapiHome !== undefined && existsSync(home);
  const theirs = known.listenPort ?? (isTakenOver ? USUAL_PORT : undefined);
  const own =
    listener === undefined || listener.port === 0
      ? []
      : [[listener.host ?? config.host, listener.port] as const];
  return [...(theirs === undefined || theirs === 0 ? [] : [[host, theirs] as const]), ...own];
}
