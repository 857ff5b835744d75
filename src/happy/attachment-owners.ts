// Whose attachments are whose: each session has a folder of them.
import type { BlobOwners } from "../retention/blob-owners.ts";
import { cutoffs } from "./retention-rules.ts";
import type { HappyConfig } from "./settings.ts";
import type { HappyStore } from "./store/index.ts";

export interface AttachmentOwnersParts {
  readonly config: HappyConfig;
  readonly store: Pick<HappyStore, "sessionOwner" | "recountAttachments">;
  /** A server keeps count of what each account has; a command that only looks does not. */
  readonly counts?: boolean;
}

export function attachmentOwners({ config, store, counts = false }: AttachmentOwnersParts): BlobOwners {
  return {
    folder: "sessions",
    kind: "attachments",
    ownerOf: (session, leavingAt) =>
      store.sessionOwner(session, leavingAt === undefined ? undefined : cutoffs(config, leavingAt).sessions),
    filesBefore: (now) => cutoffs(config, now).attachments,
    ...(counts && { counted: (session, found) => store.recountAttachments(session, found) }),
  };
}
