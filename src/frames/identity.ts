// Who a client is and what it may do (frames contract, section 13).
import { z } from "zod";

export const permissions = [
  "read:message",
  "send:message",
  "create:room",
  "delete:room",
  "join:room",
  "leave:room",
  "admin:room",
  "admin:system",
] as const;
export type Permission = (typeof permissions)[number];

/** A client's id: 1 to 128 characters, none of them a control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
export const clientId = z.string().regex(/^[^\u0000-\u001f\u007f-\u009f]{1,128}$/u);

export const claims = z.object({
  user_id: clientId.optional(),
  username: z.string().optional(),
  /** Names that this version does not know are kept: a handler of the embedder may ask for them. */
  permissions: z.array(z.string()).default([]),
  iss: z.string(),
  sub: z.string().optional(),
  /** Unix seconds. */
  exp: z.number(),
  nbf: z.number().optional(),
  iat: z.number().optional(),
});
export type Claims = z.output<typeof claims>;

export interface Identity {
  readonly id: string;
  /** Of a verified token. */
  readonly claims?: Claims;
  /** Whom the verified token names: the user, else the subject, else the token itself. Undefined without a token. */
  readonly subject?: string;
  /** Undefined: everything is permitted, because the hub asks for no tokens. */
  readonly permissions?: ReadonlySet<string>;
}

/** True when one of the permissions is granted; `admin:system` implies all. */
export function isPermitted({ permissions: granted }: Identity, anyOf: readonly string[]): boolean {
  if (granted === undefined || anyOf.length === 0 || granted.has("admin:system")) return true;
  return anyOf.some((permission) => granted.has(permission));
}

/** True when a verified token says that both are the same; without tokens the hub knows of no two that they are. */
export const isSame = (one: Identity, other: Identity): boolean =>
  one.subject !== undefined && one.subject === other.subject;
