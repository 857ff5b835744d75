// Whose blobs are whose. A protocol keeps its blobs in folders below one of its own: `sessions/<id>/...`.
import type { FilesFound } from "../storage/blob-files.ts";

export interface BlobOwner {
  /** Account id. */
  readonly account: string;
  /** What the folder belongs to is about to go by its age, and its files with it. */
  readonly isLeaving: boolean;
}

type Awaitable<T> = T | Promise<T>;

export interface BlobOwners {
  /** The first part of the keys that it speaks for. */
  readonly folder: string;
  /** Files that go by their age are called so. */
  readonly kind: string;
  /**
   * Of the second part of a key; undefined for what is not there (any more).
   * @param leavingAt the time by which it is judged what is about to go; undefined: nothing is.
   */
  ownerOf(name: string, leavingAt: number | undefined): Awaitable<BlobOwner | undefined>;
  /** Files that were last written before this go; undefined keeps them however old. Unix ms. */
  filesBefore(now: number): number | undefined;
  /** Hears what is left of each folder that has an owner. */
  counted?(name: string, found: FilesFound): Promise<void>;
}
