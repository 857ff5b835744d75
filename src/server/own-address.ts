// Where the server of a data folder answers, kept in the folder for the commands that ask it, whatever port it was given.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileDurably } from "../storage/durable-file.ts";

const pathIn = (dataDir: string) => join(dataDir, "roost.url");

/** @returns how to take it away again. */
export function publishOwnAddress(dataDir: string, url: string): () => void {
  writeFileDurably(pathIn(dataDir), `${url}\n`, 0o600);
  return () => rmSync(pathIn(dataDir), { force: true });
}

/** The address of the server that runs, or ran, on this folder; undefined when none was ever started or it was stopped. */
export function ownAddress(dataDir: string): string | undefined {
  try {
    return readFileSync(pathIn(dataDir), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
