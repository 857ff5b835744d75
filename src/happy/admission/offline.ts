// The administration of a data folder that no server runs on. Whoever opens it holds the folder's lock.
import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../../config/settings.ts";
import { openDatabase } from "../../storage/database.ts";
import { openBlobs } from "../../storage/open-blobs.ts";
import { migrations } from "../store/migrations.ts";
import { loadRefusals } from "../store/revocations.ts";
import { Access } from "./access.ts";
import { Administration } from "./administration.ts";
import { TokenSightings } from "./token-sightings.ts";

export function openAdministration(config: Config, log: Logger) {
  const database = openDatabase({ path: join(config.dataDir, "happy.db"), migrations, log });
  const blobs = openBlobs(config, log);
  const administration = new Administration({
    database,
    blobs,
    access: new Access(loadRefusals(database)),
    sightings: new TokenSightings(database, log),
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
