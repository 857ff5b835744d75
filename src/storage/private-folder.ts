// What is served to everybody never holds the data folder: keys and everybody's content are there, and to open a database file past
// SQLite would drop the locks that this process holds on it. A folder of its own inside the data folder is fine (one volume for all).
import { realpathSync } from "node:fs";
import { join, sep } from "node:path";

/** A folder that everybody may read. */
export interface PublicFolder {
  readonly folder: string | undefined;
  /** Named it. */
  readonly flag: string;
}

/** @throws Error with a sentence when what is served holds the data folder, or what is kept in it. */
export function refusePublicData(dataDir: string, served: PublicFolder): void {
  if (served.folder === undefined) return;
  const data = real(dataDir);
  const open = real(served.folder);
  if (data === undefined || open === undefined) return;
  if (!isBelow(data, open) && !isBelow(open, join(data, "files"))) return;
  throw new Error(
    `The folder of the web app, ${served.folder}, holds the data of ${dataDir}: everybody could read it. Name another one with ${served.flag}.`,
  );
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Undefined for what is not there. */
function real(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
