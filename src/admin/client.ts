// What commands speak to: the server that runs on the data folder, or, when none does, the protocol's databases.
import { existsSync } from "node:fs";
import { z } from "zod";
import { flagName } from "../config/setting.ts";
import { createLog } from "../observability/log.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import { lockFolders } from "../protocol/lock-folders.ts";
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { type PlacedDatabase, placesOf } from "../protocol/places.ts";
import { StorageError } from "../storage/errors.ts";
import type { FolderLock } from "../storage/lock.ts";
import { findChannel, type Send } from "./channel.ts";

/** The answer's JSON. @throws Error with the answer's sentence when it is refused. */
export type Ask = (method: "GET" | "POST", path: string, body?: unknown) => Promise<unknown>;

/** @throws Error when the folder has no database of the protocol, or a server holds it and does not answer. */
export async function withAdministration<C extends HouseConfig, T>(
  protocol: ProtocolManifest<C>,
  config: C,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const places = placesOf(protocol, config);
  if (!places.some(({ path }) => existsSync(path)))
    throw new Error(nothingThere(protocol, config.dataDir, places));
  let lock: FolderLock;
  try {
    lock = lockFolders(config.dataDir, places);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "in-use") throw error;
    const send = findChannel(config.dataDir);
    if (send === undefined)
      throw new Error("The server that runs on this folder takes no commands yet. Try again in a moment.");
    return work(asking(send, (serves) => notServed(protocol, config.dataDir, serves)));
  }
  try {
    return await onDatabase(protocol, config, work);
  } finally {
    lock.release();
  }
}

/** Loaded only here: a command to a running server needs none of it. */
async function onDatabase<C extends HouseConfig, T>(
  protocol: ProtocolManifest<C>,
  config: C,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const [{ adminApp }, { openOffline }] = await Promise.all([
    import("./mount.ts"),
    import("../protocol/offline.ts"),
  ]);
  await using offline = await openOffline(protocol, config, createLog(config.logLevel));
  const app = adminApp({ routes: [offline?.admin], serves: [protocol.name] });
  return await work(asking(async (path, init) => app.request(path, init)));
}

type Named = Pick<ProtocolManifest<never>, "name" | "settings">;

/** How a protocol is switched on that has a switch, as the end of a sentence. */
const switchedOn = ({ name, settings }: Named): string =>
  Object.hasOwn(settings, `${name}Enabled`) ? ` with ${flagName(`${name}Enabled`)}` : "";

function nothingThere(protocol: Named, dataDir: string, places: readonly PlacedDatabase[]): string {
  const homes = places.flatMap(({ home }) => (home === undefined ? [] : [home.flag]));
  return `There is no database of ${protocol.name} in ${dataDir}. Name the server's folder with ${["--data-dir", ...homes].join(" or ")}; the first start${switchedOn(protocol)} makes one.`;
}

/** Undefined when the running server has it, and so does not know this one command. */
function notServed(protocol: Named, dataDir: string, serves: readonly string[]): string | undefined {
  if (serves.includes(protocol.name)) return undefined;
  return `The server that runs on ${dataDir} is without ${protocol.name}, so it cannot be asked. Start it${switchedOn(protocol)}, or stop it: the command then works on the database alone.`;
}

const unknown = z.object({ serves: z.array(z.string()) });

function asking(
  send: Send,
  notServed: (serves: readonly string[]) => string | undefined = () => undefined,
): Ask {
  return async (method, path, body) => {
    const answer = await send(path, {
      method,
      ...(method === "POST" && {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body ?? {}),
      }),
    }).catch((error: unknown) => {
      throw new Error("The server that runs on this folder does not answer.", { cause: error });
    });
    const value: unknown = await answer.json().catch(() => undefined);
    if (answer.ok) return value;
    const { data } = unknown.safeParse(value);
    const absent = data === undefined ? undefined : notServed(data.serves);
    if (absent !== undefined) throw new Error(absent);
    const told = typeof value === "object" && value !== null && "error" in value ? value.error : undefined;
    throw new Error(typeof told === "string" ? told : `The server answered ${answer.status}.`);
  };
}
