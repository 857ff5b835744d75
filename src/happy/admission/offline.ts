// The administration of a data folder that no server runs on. Whoever opens it holds the folder's lock.
import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../../config/settings.ts";
import { openDatabase } from "../../storage/database.ts";
import { openBlobs } from "../../storage/open-blobs.ts";
import { settleInvites } from "../store/invites.ts";
import { migrations } from "../store/migrations.ts";
import { continueIds } from "../store/newest-id.ts";
import { loadRefusals } from "../store/revocations.ts";
import { Administration } from "./administration.ts";
import { Revocations } from "./revocations.ts";
import { TokenUsage } from "./token-usage.ts";

export function openAdministration(config: Config, log: Logger) {
  const database = openDatabase({ path: join(config.dataDir, "happy.db"), migrations, log });
  continueIds(database);
  settleInvites(database).catch((error: unknown) => {
    log.warn({ err: error }, "invites could not be looked through");
  });
  const blobs = openBlobs(config, log);
  const administration = new Administration({
    database,
    blobs,
    revocations: new Revocations(loadRefusals(database)),
    // No server runs: nothing is sighted.
    tokenUsage: new TokenUsage({ database, limit: () => 0, bounds: { refused: () => {} }, log }),
    sockets: { facts: () => [], shutOut: () => {} },
    log,
  });
  return {
    administration,
    close: async () => {
      await blobs.stop();
      await database.close();
    },
  };
}
