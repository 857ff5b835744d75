// A home as the server uses it: its secrets, made where they are missing and kept where they are not, and what its settings say.
import { chmodSync, existsSync } from "node:fs";
import type { Logger } from "pino";
import { isWeak, newAccessToken, tokenProblem } from "./access-token.ts";
import { type KnownSettings, knownSettings, type VapidKeys } from "./known-settings.ts";
import { loadJwtKey, loadOwnerId } from "./secret-files.ts";
import { changeSettingsFile, settingsPath } from "./settings-file.ts";
import { newVapidKeys } from "./vapid-keys.ts";

export interface Home {
  readonly folder: string;
  /** Clients put a namespace behind it. */
  readonly accessToken: string;
  readonly jwtKey: Uint8Array;
  readonly ownerId: number;
  readonly vapidKeys: VapidKeys;
  readonly settings: KnownSettings;
}

/** What else belongs to the data of a home. */
export const HOME_FILES = ["settings.json", "jwt-secret.json", "owner-id.json"] as const;

/** Of a token that a flag, a variable or roost.yaml has given. */
export const GIVEN = "the configuration";

/**
 * A token that is given wins over the one in the file, and is written there when the file has none: the CLI of the same user reads it
 * (data contract, 8).
 * @throws Error with a sentence when a file is not usable; then nothing was written over.
 */
export async function openHome(folder: string, given: string | undefined, log: Logger): Promise<Home> {
  // Before anything is made: a file that is damaged ends the start, and nothing else was begun.
  const jwtKey = loadJwtKey(folder);
  const ownerId = loadOwnerId(folder);
  let settings = knownSettings(folder);
  if (settings.cliApiToken === undefined || settings.vapidKeys === undefined) {
    const written = await changeSettingsFile(folder, (file) => {
      const known = knownSettings(folder, file);
      return {
        ...file,
        cliApiToken: known.cliApiToken ?? checked(given, GIVEN) ?? newAccessToken(),
        vapidKeys: known.vapidKeys ?? newVapidKeys(),
      };
    });
    settings = knownSettings(folder, written);
  }
  if (existsSync(settingsPath(folder))) chmodSync(settingsPath(folder), 0o600);
  const accessToken = checked(given, GIVEN) ?? checked(settings.cliApiToken, settingsPath(folder));
  const { vapidKeys } = settings;
  if (accessToken === undefined || vapidKeys === undefined)
    throw new Error(`The keys in ${settingsPath(folder)} went away while the server started.`);
  if (given !== undefined && isWeak(given))
    log.warn("the access token can be guessed: take one that is long and random, or none, and one is made");
  return { folder, accessToken, jwtKey, ownerId, vapidKeys, settings };
}

function checked(token: string | undefined, source: string): string | undefined {
  const problem = token === undefined ? undefined : tokenProblem(token, source);
  if (problem !== undefined) throw new Error(problem);
  return token;
}
