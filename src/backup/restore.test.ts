// Holds restoring to: an archive of an earlier release comes back byte for byte, whatever wrote its tar headers.
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noProgress } from "../cli/progress.ts";
import { restoreArchive } from "./restore.ts";

/** Made by the release before tar headers came from a library: a database, a secret, a file, and one with a name of 160 bytes. */
const FIXTURE = join(import.meta.dir, "../../test/fixtures/backup-v0.1.tar.zst");

test("an archive of the release that wrote tar by hand is restored", async () => {
  const folder = mkdtempSync(join(tmpdir(), "roost-restore-"));
  try {
    const dataDir = join(folder, "data");
    const { files } = await restoreArchive({
      file: FIXTURE,
      dataDir,
      known: [],
      progress: noProgress,
    });
    const long = `files/sessions/s1/attachments/${"é".repeat(60)}.enc`;
    expect(Object.keys(files).sort()).toEqual(
      ["happy.db", "master-secret", "files/sessions/s1/attachments/a.enc", long].sort(),
    );
    for (const [name, { size, sha256 }] of Object.entries(files)) {
      const bytes = readFileSync(join(dataDir, name));
      expect([bytes.byteLength, new Bun.CryptoHasher("sha256").update(bytes).digest("hex")]).toEqual([
        size,
        sha256,
      ]);
      expect(statSync(join(dataDir, name)).mode & 0o777).toBe(0o600);
    }
    expect(readFileSync(join(dataDir, long), "utf8")).toBe("long");
    expect(readdirSync(folder)).toEqual(["data"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
