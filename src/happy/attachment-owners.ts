// Whose attachments are whose: each session has a folder of them.
import type { BlobOwners } from "../retention/blob-owners.ts";
import type { Database } from "../storage/database.ts";
import { cutoffs } from "./retention-rules.ts";
import type { HappyConfig } from "./settings.ts";
import { recountAttachments } from "./store/attachment-sizes.ts";
import { sessionOwners } from "./store/retention.ts";

export interface AttachmentOwnersParts {
  readonly config: HappyConfig;
  readonly database: Database;
  /** A server keeps count of what each account has; a command that only looks does not. */
  readonly counts?: boolean;
}

export function attachmentOwners({ config, database, counts = false }: AttachmentOwnersParts): BlobOwners {
  let asked: { at: number | undefined; ownerOf: ReturnType<typeof sessionOwners> } | undefined;
  return {
    folder: "sessions",
    kind: "attachments",
    ownerOf: (session, leavingAt) => {
      const at = leavingAt === undefined ? undefined : cutoffs(config, leavingAt).sessions;
      if (asked === undefined || asked.at !== at) asked = { at, ownerOf: sessionOwners(database.reads, at) };
      return asked.ownerOf(session);
    },
    filesBefore: (now) => cutoffs(config, now).attachments,
    ...(counts && { counted: (session, found) => recountAttachments(database, session, found) }),
  };
}
