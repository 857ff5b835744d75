// `roost migrate`: brings the database up to date without serving. The original's launcher runs it before `serve`.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../config/load.ts";
import { migrations } from "../happy/index.ts";
import { createLog } from "../observability/log.ts";
import { openDatabase } from "../storage/database.ts";
import { lockFolder } from "../storage/lock.ts";
import type { Command } from "./index.ts";

export const migrate: Command = {
  about: "bring the database up to date and exit",
  run: async (argv) => {
    const { config } = await loadConfig(argv);
    process.umask(0o077);
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
    const lock = lockFolder(config.dataDir);
    try {
      const database = openDatabase({
        path: join(config.dataDir, "happy.db"),
        migrations,
        log: createLog(config.logLevel),
      });
      const { from, to, snapshot } = database.migration;
      await database.close();
      const kept = snapshot === undefined ? "" : ` The old file is kept as ${snapshot}.`;
      process.stdout.write(
        from === to
          ? `The database is at version ${to}, which is current.\n`
          : `The database went from version ${from} to ${to}.${kept}\n`,
      );
    } finally {
      lock.release();
    }
    return 0;
  },
};
