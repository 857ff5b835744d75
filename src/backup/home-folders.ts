// Files in the folders of a database's home, as an archive takes them: one at a time, however many there are. A link is followed nowhere,
// and what no archive can hold is left out and told, because the rest is worth having.
import { join } from "node:path";
import { entriesOf, filesBelow, isFolder } from "../storage/blob-files.ts";
import { foldersIn, type KnownDatabase, placeOf } from "./known-database.ts";
import { isArchivedName } from "./manifest.ts";

/** What a name that is no UTF-8 is read with: nothing can be opened by it. */
const UNREADABLE = "\ufffd";

export interface HomeFile {
  /** As the archive calls it. */
  readonly name: string;
  readonly path: string;
}

/** @param leftOut told of each folder in which something was left out, with a sentence for the person. */
export async function* filesInHomeFolders(
  known: readonly KnownDatabase[],
  dataDir: string,
  leftOut: (sentence: string) => void,
): AsyncGenerator<HomeFile> {
  const folders = foldersIn(known);
  for (const folder of folders) {
    const path = placeOf(known, dataDir, folder);
    let count = 0;
    const walk = async function* (name: string, at: string): AsyncGenerator<HomeFile> {
      for await (const entry of entriesOf(at)) {
        const below = { name: `${name}/${entry.name}`, path: join(at, entry.name) };
        // What stands in a name that is too deep or too long is not looked at.
        if (!isArchivedName(below.name, folders) || entry.name.includes(UNREADABLE)) count++;
        else if (entry.isDirectory()) yield* walk(below.name, below.path);
        else if (entry.isFile()) yield below;
        else count++;
      }
    };
    if (await isFolder(path)) yield* walk(folder, path);
    if (count > 0)
      leftOut(
        `${count} ${count === 1 ? "entry" : "entries"} of ${path} ${count === 1 ? "is" : "are"} not in it: links, or names that no archive can hold.`,
      );
  }
}

export async function bytesInHomeFolders(known: readonly KnownDatabase[], dataDir: string): Promise<number> {
  let bytes = 0;
  for (const folder of foldersIn(known)) {
    const path = placeOf(known, dataDir, folder);
    if (await isFolder(path)) bytes += (await filesBelow(path)).bytes;
  }
  return bytes;
}
