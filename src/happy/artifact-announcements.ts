// How changes of artifacts are announced, whichever way they came in: socket and HTTP say the same.

import { userScoped } from "./audience.ts";
import type { HappyContext } from "./context.ts";
import type { ArtifactChangeResult, CreatedArtifact } from "./store/artifacts.ts";
import { deletedArtifact, newArtifact, updatedArtifact } from "./wire/artifacts.ts";

type Voice = Pick<HappyContext, "publisher">;

/** `new-artifact`, unless the artifact was known. */
export function announceNewArtifact({ publisher }: Voice, account: string) {
  return (created: CreatedArtifact): void => {
    if (created.kind === "new")
      publisher.update(userScoped(account), created.updateSeq, newArtifact(created.row));
  };
}

/** One `update-artifact` for a stored change, also for one without parts. */
export function announceArtifactChange({ publisher }: Voice, account: string, artifact: string) {
  return (result: ArtifactChangeResult): void => {
    if (result.kind === "changed")
      publisher.update(userScoped(account), result.updateSeq, updatedArtifact(artifact, result));
  };
}

export function announceArtifactDeletion({ publisher }: Voice, account: string, artifact: string) {
  return (updateSeq: number): void =>
    publisher.update(userScoped(account), updateSeq, deletedArtifact(artifact));
}
