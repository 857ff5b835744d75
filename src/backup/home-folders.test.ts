// Whatever stands in a home's folder is in the archive or told to be left out: nothing is missed in silence.
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OWN } from "../storage/identity.ts";
import { filesInHomeFolders } from "./home-folders.ts";
import type { KnownDatabase } from "./known-database.ts";

const dataDir = mkdtempSync(join(tmpdir(), "roost-home-folders-"));
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

test("a name that is no UTF-8 cannot be opened by what it is read as, and is told", async () => {
  const rooms = join(dataDir, "inn", "rooms");
  mkdirSync(rooms, { recursive: true });
  writeFileSync(join(rooms, "a room"), "x");
  try {
    writeFileSync(Buffer.concat([Buffer.from(`${rooms}/b`), Buffer.from([0xff, 0xfe])]), "x");
  } catch {
    // File systems that want UTF-8 have no such names.
    return;
  }
  const home = {
    name: "inn",
    folder: join(dataDir, "inn"),
    flag: "--inn",
    isElsewhere: false,
    files: [],
    folders: ["rooms"],
  };
  const known: KnownDatabase[] = [{ file: "inn/inn.db", identity: OWN, newest: 1, highWater: [], home }];
  const told: string[] = [];
  const found: string[] = [];
  for await (const { name } of filesInHomeFolders(known, dataDir, (sentence) => told.push(sentence)))
    found.push(name);
  expect(found).toEqual(["inn/rooms/a room"]);
  expect(told).toEqual([`1 entry of ${rooms} is not in it: links, or names that no archive can hold.`]);
});
