// The master secret of a data folder. Given by the person, or made once and kept in the data folder, readable by the owner only.
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { PlaceConfig } from "../config/settings.ts";
import { writeFileDurably } from "./durable-file.ts";
import type { StorageConfig } from "./settings.ts";

/** What only the right secret opens. */
export interface Sealed {
  /** In words: "accounts". */
  readonly what: string;
  /** Under which people gave the secret to the server that made it. */
  readonly variable: string;
}

export interface MasterSecret {
  /** Used as the literal string: nothing is decoded (data contract, section 6). */
  readonly value: string;
  readonly origin: "configured" | "file" | "created";
}

/**
 * The launcher of the original keeps the same file under the same name (data contract, 9.1), so its data folder keeps its tokens.
 * @throws Error when the file is empty, or absent beside what it seals: going on would silently invalidate every token.
 */
export function loadMasterSecret(
  config: Pick<StorageConfig, "masterSecret"> & Pick<PlaceConfig, "dataDir">,
  sealed?: Sealed,
): MasterSecret {
  if (config.masterSecret !== undefined) return { value: config.masterSecret, origin: "configured" };
  const path = join(config.dataDir, "master-secret");
  if (existsSync(path)) {
    const value = readFileSync(path, "utf8").trim();
    if (value === "")
      throw new Error(
        `The secret file ${path} is empty. Restore it from a backup, or delete it to start over.`,
      );
    chmodSync(path, 0o600);
    return { value, origin: "file" };
  }
  if (sealed !== undefined)
    throw new Error(
      `The data folder ${config.dataDir} has ${sealed.what} but no secret. Give the one it was made with (--master-secret or ${sealed.variable}), or put the file master-secret back from a backup.`,
    );
  const value = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  writeFileDurably(path, `${value}\n`, 0o600);
  return { value, origin: "created" };
}
