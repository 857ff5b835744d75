// What can be done with the Happy database of a folder that no server runs on, or beside one: administration, retention, owners of blobs.
// Who opens it holds the folder's lock, or is a command that works beside the server.
import { baseUrl } from "../admin/base-url.ts";
import type { Offline, OfflineParts } from "../protocol/manifest.ts";
import { adminRoutes } from "./admin.ts";
import { Administration } from "./admission/administration.ts";
import { Revocations } from "./admission/revocations.ts";
import { TokenUsage } from "./admission/token-usage.ts";
import { attachmentOwners } from "./attachment-owners.ts";
import { happyRetention } from "./retention.ts";
import type { HappyConfig } from "./settings.ts";
import { happyStore } from "./store/index.ts";

export async function offline({
  config,
  databases,
  blobs,
  log,
}: OfflineParts<HappyConfig>): Promise<Offline> {
  const database = databases.get("happy");
  if (database === undefined) return {};
  const store = happyStore(database);
  await store.continueIds();
  const settled = store.settleInvites().catch((error: unknown) => {
    log.warn({ err: error }, "invites could not be looked through");
  });
  const administration = new Administration({
    store,
    blobs,
    revocations: new Revocations(await store.loadRefusals()),
    // No server runs: no use of a token is seen.
    tokenUsage: new TokenUsage({ store, limit: () => 0, bounds: { refused: () => {} }, log }),
    sockets: { facts: () => [], shutOut: () => {} },
    log,
  });
  return {
    admin: adminRoutes({
      administration,
      baseUrl: () => baseUrl(config),
      registration: () => config.happyRegistration,
    }),
    retention: happyRetention({
      config,
      store,
      // In the data folder the sweep finds them.
      announce: ({ id }) => (config.s3Host === undefined ? undefined : blobs.removeFolder(`sessions/${id}`)),
    }),
    blobOwners: attachmentOwners({ config, store }),
    close: async () => {
      await settled;
    },
  };
}
