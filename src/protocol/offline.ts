// What a protocol can do with its databases alone: for commands, while no server runs or beside one.
import type { Logger } from "pino";
import { openBlobs } from "../storage/open-blobs.ts";
import type { HouseConfig } from "./house-settings.ts";
import type { Offline, ProtocolManifest } from "./manifest.ts";
import { openThere } from "./open-databases.ts";
import { placesOf } from "./places.ts";

/** Undefined for a protocol that has nothing in the folder, or nothing to say without being open. */
export async function openOffline<C extends HouseConfig>(
  protocol: ProtocolManifest<C>,
  config: C,
  log: Logger,
): Promise<(OpenOffline & AsyncDisposable) | undefined> {
  if (protocol.offline === undefined) return undefined;
  const databases = await openThere(placesOf(protocol, config), { log });
  if (databases.size === 0) return undefined;
  const blobs = openBlobs(config, log);
  const close = async () => {
    await offline?.close?.();
    await blobs.stop();
    await databases[Symbol.asyncDispose]();
  };
  let offline: Offline | undefined;
  try {
    offline = await protocol.offline({ config, databases, blobs, log });
    return { ...offline, databases, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface OpenOffline extends Omit<Offline, "close"> {
  readonly databases: Awaited<ReturnType<typeof openThere>>;
}
