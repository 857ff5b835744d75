// Step three of three: the master secret. Given by the person, or made once and kept in the data folder, readable by the owner only.
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileDurably } from "../storage/durable-file.ts";
import type { Config } from "./settings.ts";

export interface MasterSecret {
  /** Used as the literal string: nothing is decoded (data contract, section 6). */
  readonly value: string;
  readonly origin: "configured" | "file" | "created";
}

/**
 * The launcher of the original keeps the same file under the same name (data contract, 9.1), so its data folder keeps its tokens.
 * @throws Error when the file is empty, or absent beside accounts: going on would silently invalidate every token.
 */
export function loadMasterSecret(
  config: Pick<Config, "masterSecret" | "dataDir">,
  { hasAccounts }: { readonly hasAccounts: boolean },
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
  if (hasAccounts)
    throw new Error(
      `The data folder ${config.dataDir} has accounts but no secret. Give the one it was made with (--master-secret or HANDY_MASTER_SECRET), or put the file master-secret back from a backup.`,
    );
  const value = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  writeFileDurably(path, `${value}\n`, 0o600);
  return { value, origin: "created" };
}
