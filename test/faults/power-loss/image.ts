// Looks into what a power cut left: is every database sound, and is everything there that somebody was told about?
import { Database } from "bun:sqlite";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startProcess } from "../server-process.ts";
import type { Acknowledged } from "./acknowledged.ts";
import { BLOB_FOLDERS, DATABASES, openWorld, STORE_ENV, type Store, type World } from "./stores.ts";

/** Sentences about what is wrong with the folder; none for a sound and complete one. Opening it is part of the look. */
export function problemsOf(dataDir: string, told: readonly Acknowledged[]): string[] {
  const problems: string[] = [];
  const texts = new Map<Store, string>();
  for (const file of DATABASES) {
    const path = join(dataDir, file);
    if (!existsSync(path)) continue;
    try {
      using sqlite = new Database(path, { readwrite: true, create: false });
      const answers = sqlite.query<{ integrity_check: string }, []>("PRAGMA integrity_check").values().flat();
      if (answers.join() !== "ok") problems.push(`${file}: ${answers.join("; ")}`);
      if (sqlite.query("PRAGMA foreign_key_check").all().length > 0)
        problems.push(`${file}: broken references`);
      for (const { store } of told)
        if (store.kept !== "files" && store.kept.database === file && !texts.has(store))
          texts.set(store, sqlite.query(store.kept.sql).values().flat().join("\n"));
    } catch (error) {
      problems.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const blobs = BLOB_FOLDERS.flatMap((folder) => blobsBelow(join(dataDir, folder))).join("\n");
  const sealed = new Map<Store, number>();
  for (const { store, mark } of told) {
    const onDisk = store.onDisk === undefined ? mark : store.onDisk(mark);
    if (onDisk === undefined) sealed.set(store, (sealed.get(store) ?? 0) + 1);
    else if (!(store.kept === "files" ? blobs : (texts.get(store) ?? "")).includes(onDisk))
      problems.push(`${store.name}: ${mark} is lost`);
  }
  for (const [store, count] of sealed)
    if ((texts.get(store) ?? "").split("\n").filter(Boolean).length < count)
      problems.push(`${store.name}: some of ${count} are lost`);
  return problems;
}

/** The same through a real server that starts in the folder, with the token and session of the time before the cut. */
export async function problemsOfServer(
  dataDir: string,
  told: readonly Acknowledged[],
  known: World,
): Promise<string[]> {
  const server = await startProcess({ dataDir, env: { ROOST_LOG_LEVEL: "warn", ...STORE_ENV } });
  try {
    const readable = told.filter(({ store }) => store.read !== undefined);
    if (readable.length === 0) return [];
    const world = await openWorld(server, dataDir, known);
    const lost: string[] = [];
    for (const { store, mark } of readable) {
      const found = JSON.stringify(await store.read?.(world, mark));
      if (!found.includes(mark)) lost.push(`${store.name}: ${mark} is not served`);
    }
    world.close();
    return lost;
  } finally {
    await server.end("SIGTERM");
  }
}

function blobsBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
}
