// What can be done with the hub's database of a folder that no server runs on, or beside one: administration and retention. Who opens it
// holds the folder's lock, or is a command that works beside the server.
import type { Offline, OfflineParts } from "../protocol/manifest.ts";
import { adminRoutes } from "./admin.ts";
import { Administration, AT_REST } from "./administration.ts";
import { GoneFiles } from "./hub/gone-files.ts";
import { homeOf } from "./place.ts";
import { hapiRetention } from "./retention.ts";
import type { HapiConfig } from "./settings.ts";
import { hapiStore } from "./store/index.ts";
import type { SessionKey } from "./store/rows.ts";

export async function offline({ config, databases }: OfflineParts<HapiConfig>): Promise<Offline> {
  const database = databases.get("hapi");
  if (database === undefined) return {};
  const store = hapiStore(database);
  const files = new GoneFiles(homeOf(config), store);
  const gone = (session: SessionKey) => files.gone(session);
  return {
    admin: adminRoutes(new Administration(store, { ...AT_REST, sessionGone: gone })),
    // Clients of a running server learn of it when they next ask for the list.
    retention: hapiRetention({ config, store, gone }),
    close: () => files.settled(),
  };
}
