// Who a caller is, as stage 8 finds it out for one call of the test's, with a key and a token that it knows.
import { createHmac, hash } from "node:crypto";
import type { Identity } from "../../src/rpc/pipeline/call.ts";
import { Authenticators } from "../../src/rpc/security/authentication.ts";
import type { Authenticate } from "../../src/rpc/security/module-authenticator.ts";
import { RpcError } from "../../src/rpc/wire/rpc-error.ts";
import { type CallFrom, callFrom } from "./rpc-call.ts";

export const SECRET = "a secret that is long enough for HS256";
export const KEY = "key-of-a-robot";
export const sha256 = (text: string | Buffer) => hash("sha256", text, "hex");
export const jwt = { secret: SECRET, issuer: "house" };
export const api_keys = [
  { sha256: sha256("another"), principal: "other" },
  { sha256: sha256(KEY), principal: "robot", roles: ["reader"], scopes: ["docs.read"], tenant: "acme" },
];
export const both = { security: { jwt, api_keys } };
export const soon = () => Math.floor(Date.now() / 1_000) + 60;

export const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
export function token(
  claims: Record<string, unknown> = {},
  header: unknown = { alg: "HS256", typ: "JWT" },
  secret = SECRET,
) {
  const text = `${base64(header)}.${base64({ iss: "house", sub: "anna", exp: soon(), ...claims })}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

/** The identity, or the code. */
export async function identify(from: CallFrom, ...others: Authenticate[]): Promise<Identity | number> {
  try {
    return await new Authenticators(() => others).identify(callFrom(from));
  } catch (error) {
    if (error instanceof RpcError) return error.code;
    throw error;
  }
}
