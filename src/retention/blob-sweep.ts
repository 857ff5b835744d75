// Files that nobody can reach or that are too old: folders whose owner is gone, files beyond their age, leftovers of cut-off uploads.
// Names are compared as they are on disk; an id is an ordinary name and stays as it is there.
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { blobFiles, entriesOf, factsOf } from "../storage/blob-files.ts";
import type { BlobOwner, BlobOwners } from "./blob-owners.ts";

/** Of uploads that were cut off; local-blobs.ts names them so. */
const LEFTOVER = /^\.part-/;
/** Whoever is uploading now is left alone, and so is what is just being made. */
const SETTLED_MS = 3_600_000;

export interface SweepOptions {
  /** Folder of the blobs. */
  readonly folder: string;
  readonly now: number;
  readonly owners: readonly BlobOwners[];
  /** See BlobOwners.ownerOf: for a look at what would go. */
  readonly leavingAt?: number;
}

export interface Unwanted {
  /** The owners' word for files that are too old, or one of ours. */
  readonly kind: string;
  /** Undefined where nobody owns it. */
  readonly account: string | undefined;
  readonly path: string;
  readonly bytes: number;
}

/** What would go, one file at a time. */
export async function* unwantedFiles({
  folder,
  now,
  owners,
  leavingAt,
}: SweepOptions): AsyncGenerator<Unwanted> {
  // Files of one folder come together: its owner is asked for once, and anew by each sweep.
  let tally: Tally | undefined;
  for await (const file of blobFiles(folder)) {
    const found = await factsOf(file);
    if (found === undefined) continue;
    const { path, parts } = file;
    const { size: bytes, mtimeMs } = found;
    const isSettled = mtimeMs < now - SETTLED_MS;
    if (LEFTOVER.test(parts.at(-1) ?? "")) {
      if (isSettled) yield { kind: "leftovers of uploads", account: undefined, path, bytes };
      continue;
    }
    const [top, name] = parts;
    const of = owners.find((one) => one.folder === top);
    if (of === undefined || name === undefined) continue;
    if (tally?.of !== of || tally.name !== name) {
      await count(tally);
      tally = { of, name, owner: await of.ownerOf(name, leavingAt), files: 0, bytes: 0 };
    }
    const { owner } = tally;
    const before = of.filesBefore(now);
    if (owner === undefined) {
      if (isSettled) yield { kind: "orphaned files", account: undefined, path, bytes };
    } else if (owner.isLeaving || (before !== undefined && mtimeMs < before))
      yield { kind: of.kind, account: owner.account, path, bytes };
    else {
      tally.files++;
      tally.bytes += bytes;
    }
  }
  await count(tally);
}

async function count(tally: Tally | undefined): Promise<void> {
  if (tally?.owner !== undefined) await tally.of.counted?.(tally.name, tally);
}

interface Tally {
  readonly of: BlobOwners;
  readonly name: string;
  readonly owner: BlobOwner | undefined;
  files: number;
  bytes: number;
}

/** Removes what `unwantedFiles` names, and the folders whose owners are gone. */
export async function sweepFiles(
  options: SweepOptions,
  removed: (what: Unwanted) => void,
  goOn: () => boolean = () => true,
): Promise<void> {
  for await (const what of unwantedFiles(options)) {
    if (!goOn()) return;
    await rm(what.path, { force: true });
    removed(what);
  }
  for (const owners of options.owners) await sweepFolders(owners, options, goOn);
}

async function sweepFolders(owners: BlobOwners, { folder, now }: SweepOptions, goOn: () => boolean) {
  const top = join(folder, owners.folder);
  for await (const entry of entriesOf(top)) {
    if (!goOn()) return;
    const path = join(top, entry.name);
    if (!entry.isDirectory() || (await owners.ownerOf(entry.name, undefined)) !== undefined) continue;
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    if (found.mtimeMs < now - SETTLED_MS && !(await holdsFiles(path)))
      await rm(path, { recursive: true, force: true });
  }
}

async function holdsFiles(folder: string): Promise<boolean> {
  for await (const _ of blobFiles(folder)) return true;
  return false;
}
