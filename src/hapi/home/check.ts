// Whether the home can still be used while the server runs: a mount that went away, or a folder that somebody moved, is told at once and
// not at the next change of a setting. Nothing is written.
import { accessSync, constants, statSync } from "node:fs";
import type { Check } from "../../ops/pages.ts";
import { codeOf, StorageError } from "../../storage/errors.ts";

const FIX = "Put it back, or stop the server before it is moved.";

/** To be made at the start, when the home is as it should be. */
export function homeCheck(folder: string): Check {
  const { dev, ino } = statSync(folder);
  return {
    name: "hapi-home",
    run: () => {
      const now = statSync(folder, { throwIfNoEntry: false });
      if (now === undefined) throw new StorageError("replaced", `HAPI's home is not there any more. ${FIX}`);
      if (now.dev !== dev || now.ino !== ino)
        throw new StorageError("replaced", `HAPI's home is another folder than at the start. ${FIX}`);
      try {
        accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
      } catch (error) {
        throw new StorageError("failed", `HAPI's home cannot be written any more (${codeOf(error)}).`, {
          cause: error,
        });
      }
    },
  };
}
