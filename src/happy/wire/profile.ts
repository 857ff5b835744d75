// What an account shows of itself: the profile body of HTTP contract 5.1 and its parts, pure. Whatever is in the rows, the body
// passes the app's schema: the app's login waits for it and refuses nulls that GitHub really sends (HTTP contract 16.4, 20.13).
import { z } from "zod";
import { type S3Address, s3PublicBase } from "../../storage/s3-blobs.ts";
import type { HappyConfig } from "../settings.ts";

export const VENDORS = ["openai", "anthropic", "gemini"] as const;
export type Vendor = (typeof VENDORS)[number];

const avatarSchema = z.object({
  width: z.number(),
  height: z.number(),
  thumbhash: z.string(),
  path: z.string(),
});

/** An avatar as column `accounts.avatar` keeps it, JSON text; the address is computed when it is read. */
export type Avatar = z.output<typeof avatarSchema>;

/** GitHub's user object as GitHub returned it; fields that nothing here needs are kept as they are. */
export const githubProfileSchema = z.looseObject({
  id: z.number(),
  login: z.string(),
  name: z.string().nullish(),
  email: z.string().nullish(),
  bio: z.string().nullish(),
  avatar_url: z.string(),
});
export type GithubProfile = z.output<typeof githubProfileSchema>;

/** Rows that make up a profile. */
export interface ProfileParts {
  readonly id: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly username: string | null;
  /** JSON text of an Avatar. */
  readonly avatar: string | null;
  /** JSON text of a GithubProfile. */
  readonly github: string | null;
  /** Vendors with a stored token; may repeat. */
  readonly vendors: readonly string[];
}

/** The body of `GET /v1/account/profile`. */
export function profileBody(config: PublicAddress, parts: ProfileParts, now: number) {
  return {
    id: parts.id,
    timestamp: now,
    firstName: parts.firstName,
    lastName: parts.lastName,
    username: parts.username,
    avatar: avatarBody(config, readAvatar(parts.avatar)),
    github: githubBody(readGithubProfile(parts.github)),
    connectedServices: VENDORS.filter((vendor) => parts.vendors.includes(vendor)),
  };
}

/** What decides where clients fetch stored public files. */
export type PublicAddress = Pick<HappyConfig, "publicUrl" | "port"> & Partial<S3Address>;

/** Where clients fetch a stored public file (HTTP contract 5.1, data contract 8). */
export function avatarUrl({ publicUrl, port, ...s3 }: PublicAddress, path: string): string {
  if (s3.s3Host !== undefined) return `${s3PublicBase(s3)}/${path}`;
  return `${publicUrl ?? `http://localhost:${port}`}/files/${path}`;
}

export function avatarBody(config: PublicAddress, avatar: Avatar | null) {
  return avatar === null ? null : { ...avatar, url: avatarUrl(config, avatar.path) };
}

/** What clients get to see of a GitHub profile: the login where the name is null, no e-mail rather than null. */
export function githubBody(profile: GithubProfile | null) {
  if (profile === null) return null;
  const { email, ...rest } = profile;
  return {
    ...rest,
    name: rest.name ?? rest.login,
    bio: rest.bio ?? null,
    ...(typeof email === "string" && { email }),
  };
}

/** Null where none is stored, and where an imported one lacks what the app insists on. */
export function readAvatar(text: string | null): Avatar | null {
  return read(avatarSchema, text);
}

/** Null where none is stored, and where an imported one lacks what the app insists on. */
export function readGithubProfile(text: string | null): GithubProfile | null {
  return read(githubProfileSchema, text);
}

function read<T extends z.ZodType>(schema: T, text: string | null): z.output<T> | null {
  if (text === null) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
