// What is kept: bytes of each database and of the blobs, and how much waits to be written.

import { statSync } from "node:fs";
import type { Metrics } from "../observability/metrics.ts";
import { filesBelow } from "../storage/blob-files.ts";
import type { Database } from "../storage/database.ts";

export function reportDatabase(metrics: Metrics, name: string, { path, writer }: Database): void {
  const labels = { database: name };
  metrics.gauge("roost_database_bytes", "Size of the database file").report(() => sizeOf(path), labels);
  metrics
    .gauge("roost_database_wal_bytes", "Size of the database's write-ahead log")
    .report(() => sizeOf(`${path}-wal`), labels);
  metrics
    .gauge("roost_writer_depth", "Operations that wait for their commit, or for the disk")
    .report(() => writer.depth, labels);
  metrics
    .gauge(
      "roost_writer_held_seconds",
      "How long another program has kept writes waiting for the database's lock",
    )
    .report(() => writer.heldMs / 1_000, labels);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** A folder is measured at most this often, and only when somebody asks. */
const MEASURE_EVERY_MS = 60_000;

/** The page never waits for the disk: it shows the last measure, and asks for the next one. */
export function reportFolder(metrics: Metrics, folder: string): void {
  let last = { bytes: 0, files: 0 };
  let measuredAt = Number.NEGATIVE_INFINITY;
  const look = () => {
    const now = performance.now();
    if (now - measuredAt < MEASURE_EVERY_MS) return;
    measuredAt = now;
    filesBelow(folder).then(
      (found) => {
        last = found;
      },
      // The folder may be gone for a moment; the next look tells.
      () => {},
    );
  };
  look();
  metrics
    .gauge("roost_blob_bytes", "Bytes of the files that clients exchange, at most a minute old")
    .report(() => {
      look();
      return last.bytes;
    });
  metrics.gauge("roost_blobs", "Files that clients exchange, at most a minute old").report(() => last.files);
}
