// How one account shows itself to another: the user profile of HTTP contract 14.0, pure. Names are never null where the app
// insists on text (16.4).

import type { RELATIONSHIP_STATUSES } from "../store/schema.ts";
import {
  avatarBody,
  type ProfileParts,
  type PublicAddress,
  readAvatar,
  readGithubProfile,
} from "./profile.ts";

export type RelationshipStatus = (typeof RELATIONSHIP_STATUSES)[number];

/** Rows that make up a user profile. */
export interface UserParts extends Omit<ProfileParts, "vendors"> {
  /** The asking account's side of their relationship. */
  readonly status: RelationshipStatus;
}

export function userBody(config: PublicAddress, parts: UserParts) {
  const github = readGithubProfile(parts.github);
  return {
    id: parts.id,
    firstName: parts.firstName ?? "",
    lastName: parts.lastName,
    avatar: avatarBody(config, readAvatar(parts.avatar)),
    username: parts.username ?? github?.login ?? "",
    bio: github?.bio || null,
    status: parts.status,
  };
}
