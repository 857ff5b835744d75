// What commands speak to: the server that runs on the data folder, or, when none does, the protocol's databases.
import { existsSync } from "node:fs";
import { createLog } from "../observability/log.ts";
import type { HouseConfig } from "../protocol/house-settings.ts";
import { lockFolders } from "../protocol/lock-folders.ts";
import type { ProtocolManifest } from "../protocol/manifest.ts";
import { placesOf } from "../protocol/places.ts";
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
    throw new Error(`There is no database in ${config.dataDir}. Name the server's folder with --data-dir.`);
  let lock: FolderLock;
  try {
    lock = lockFolders(config.dataDir, places);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "in-use") throw error;
    const send = findChannel(config.dataDir);
    if (send === undefined)
      throw new Error("The server that runs on this folder takes no commands yet. Try again in a moment.");
    return work(asking(send));
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
  const app = adminApp([offline?.admin]);
  return await work(asking(async (path, init) => app.request(path, init)));
}

function asking(send: Send): Ask {
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
    const told = typeof value === "object" && value !== null && "error" in value ? value.error : undefined;
    throw new Error(typeof told === "string" ? told : `The server answered ${answer.status}.`);
  };
}
