// Files that nobody can reach or that are too old: folders of sessions that are gone, attachments beyond their age, leftovers of
// cut-off uploads. Names are compared as they are on disk; an id of a session is an ordinary name and stays as it is there.
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { blobFiles, entriesOf } from "./blob-files.ts";

/** Of uploads that were cut off; local-blobs.ts names them so. */
const LEFTOVER = /^\.part-/;
/** Whoever is uploading now is left alone, and so is a session that is just being made. */
const SETTLED_MS = 3_600_000;

export interface SweepOptions {
  /** Folder of the blobs. */
  readonly folder: string;
  readonly now: number;
  /** Attachments that were last written before this go. */
  readonly attachmentsBefore: number | undefined;
  /** Undefined for a session that is not there. */
  readonly ownerOf: (sessionId: string) => SessionOwner | undefined;
  /** Hears, of each session with files, what is left of them. */
  readonly counted?: (sessionId: string, found: FilesFound) => Promise<void>;
}

export interface FilesFound {
  readonly files: number;
  readonly bytes: number;
}

export interface SessionOwner {
  /** Account id. */
  readonly account: string;
  /** The session itself is about to go, and its files with it. */
  readonly isLeaving: boolean;
}

export interface Unwanted {
  readonly kind: "orphaned files" | "attachments" | "leftovers of uploads";
  /** Undefined where nobody owns it. */
  readonly account: string | undefined;
  readonly path: string;
  readonly bytes: number;
}

/** What would go, one file at a time. */
export async function* unwantedFiles({
  folder,
  now,
  attachmentsBefore,
  ownerOf,
  counted,
}: SweepOptions): AsyncGenerator<Unwanted> {
  // Files of one session come together.
  let tally: { sessionId: string; files: number; bytes: number } | undefined;
  for await (const { path, parts } of blobFiles(folder)) {
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    const { size: bytes, mtimeMs } = found;
    const isSettled = mtimeMs < now - SETTLED_MS;
    if (LEFTOVER.test(parts.at(-1) ?? "")) {
      if (isSettled) yield { kind: "leftovers of uploads", account: undefined, path, bytes };
      continue;
    }
    const [top, sessionId] = parts;
    if (top !== "sessions" || sessionId === undefined) continue;
    const owner = ownerOf(sessionId);
    if (tally?.sessionId !== sessionId) {
      if (tally !== undefined) await counted?.(tally.sessionId, tally);
      tally = owner && { sessionId, files: 0, bytes: 0 };
    }
    if (owner === undefined) {
      if (isSettled) yield { kind: "orphaned files", account: undefined, path, bytes };
    } else if (owner.isLeaving || (attachmentsBefore !== undefined && mtimeMs < attachmentsBefore))
      yield { kind: "attachments", account: owner.account, path, bytes };
    else if (tally !== undefined) {
      tally.files++;
      tally.bytes += bytes;
    }
  }
  if (tally !== undefined) await counted?.(tally.sessionId, tally);
}

/** Removes what `unwantedFiles` names, and the folders of sessions that are gone. */
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
  const sessions = join(options.folder, "sessions");
  for await (const entry of entriesOf(sessions)) {
    if (!goOn()) return;
    const path = join(sessions, entry.name);
    if (!entry.isDirectory() || options.ownerOf(entry.name) !== undefined) continue;
    const { mtimeMs } = await stat(path);
    if (mtimeMs < options.now - SETTLED_MS && !(await holdsFiles(path)))
      await rm(path, { recursive: true, force: true });
  }
}

async function holdsFiles(folder: string): Promise<boolean> {
  for await (const _ of blobFiles(folder)) return true;
  return false;
}
