// `roost restore FILE`: an archive into an empty data folder, checked before anything is put in its place.

import { restoreArchive } from "../backup/restore.ts";
import type { Command } from "../cli/command.ts";
import { inWords, progressOn } from "../cli/progress.ts";
import { plain } from "../cli/table.ts";
import { splitWords } from "../cli/words.ts";
import { UsageError } from "../config/env.ts";
import type { Program } from "../protocol/program.ts";
import { knownDatabases } from "./databases.ts";

export const restore: Command<Program> = {
  about: "put an archive of `roost backup` into an empty data folder: restore FILE",
  run: async (argv, program) => {
    const { words, flags } = splitWords(argv);
    const [file, ...more] = words;
    if (file === undefined || more.length > 0)
      throw new UsageError("Usage: roost restore FILE [--data-dir FOLDER]");
    const { config } = await program.load(flags);
    process.umask(0o077);
    const { files, createdAt, notes } = await restoreArchive({
      file,
      dataDir: config.dataDir,
      known: await knownDatabases(program, config),
      progress: progressOn(),
    });
    const bytes = Object.values(files).reduce((sum, { size }) => sum + size, 0);
    process.stdout.write(
      `${config.dataDir} is as it was at ${new Date(createdAt).toISOString()} (${inWords(bytes)}). Every file was checked.\n`,
    );
    for (const note of notes) process.stdout.write(`Note: ${plain(note)}\n`);
    return 0;
  },
};
