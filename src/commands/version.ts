// `roost --version`: which build this is.
import { build } from "../build-info.ts";
import type { Command } from "../cli/command.ts";

export const version: Command = {
  about: "print version, commit, Bun version and build date",
  run: async () => {
    process.stdout.write(
      `roost ${build.version} (commit ${build.commit}, Bun ${Bun.version}, built ${build.date})\n`,
    );
    return 0;
  },
};
