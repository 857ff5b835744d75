// Holds the web app's folder to lying apart from the data, also by way of a symbolic link.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refusePublicData } from "./private-folder.ts";

const folder = mkdtempSync(join(tmpdir(), "roost-private-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const dataDir = join(folder, "data");
for (const name of ["data/web", "data/files/web", "web", "data-web"])
  mkdirSync(join(folder, name), { recursive: true });
symlinkSync(dataDir, join(folder, "link"));

test("a folder that holds the data, is it, or is among its files is refused; one beside it or of its own inside is not", () => {
  for (const bad of [
    folder,
    dataDir,
    join(dataDir, "files"),
    join(dataDir, "files/web"),
    join(folder, "link"),
    "/",
  ])
    expect(() => refusePublicData(dataDir, { folder: bad, flag: "--static-dir" })).toThrow(
      "everybody could read it",
    );
  for (const good of [
    undefined,
    join(dataDir, "web"),
    join(folder, "web"),
    join(folder, "data-web"),
    join(folder, "not-there"),
  ])
    expect(() => refusePublicData(dataDir, { folder: good, flag: "--static-dir" })).not.toThrow();
});
