// Principals of tokens and API keys (contract 9.3). A token is an HS256 JWT with a secret and an issuer of this room's own; of keys only
// their hashes are known.
import { hash, timingSafeEqual } from "node:crypto";
import { hs256Key, verifyHs256 } from "../../auth/hs256.ts";
import type { RpcDocument } from "../document/document.ts";
import type { Identity } from "../pipeline/call.ts";
import { isTenant } from "../wire/request-metadata.ts";
import { RpcError } from "../wire/rpc-error.ts";

type JwtSettings = NonNullable<RpcDocument["security"]["jwt"]>;
type ApiKey = RpcDocument["security"]["api_keys"][number];

const MAX_TOKEN = 16 * 1024;
/** Principals are in keys of limits, of stored answers and of tasks. */
const MAX_PRINCIPAL = 256;
const keys = new WeakMap<JwtSettings, Uint8Array>();

/** @throws RpcError 3001, 3002 */
export function jwtIdentity(token: string, settings: JwtSettings): Identity {
  let key = keys.get(settings);
  if (key === undefined) {
    key = hs256Key(settings.secret);
    keys.set(settings, key);
  }
  const claims = verifyHs256(token, {
    key,
    issuer: settings.issuer,
    maxLength: MAX_TOKEN,
    early: "invalid",
    leewaySeconds: settings.leeway_s,
  });
  if (claims === "expired") throw new RpcError(3002);
  if (claims === "invalid") throw new RpcError(3001);
  const { audience } = settings;
  if (audience !== undefined && ![claims.aud].flat().includes(audience)) throw new RpcError(3001);
  const id = claims[settings.principal_claim];
  if (typeof id !== "string" || id === "" || id.length > MAX_PRINCIPAL) throw new RpcError(3001);
  const tenant = claims[settings.tenant_claim];
  if (tenant !== undefined && (typeof tenant !== "string" || !isTenant(tenant))) throw new RpcError(3001);
  return {
    id,
    type: "user",
    roles: listOf(claims[settings.roles_claim]),
    scopes: listOf(claims[settings.scopes_claim]),
    verified: true,
    auth_scheme: "bearer",
    tenant,
  };
}

/** Space-separated text, or a list of texts. */
function listOf(claim: unknown): readonly string[] {
  if (typeof claim === "string") return claim.split(" ").filter((part) => part !== "");
  return Array.isArray(claim) ? claim.filter((part) => typeof part === "string" && part !== "") : [];
}

/** @throws RpcError 3001 */
export function apiKeyIdentity(token: string, known: readonly ApiKey[]): Identity {
  const given = hash("sha256", token, "buffer");
  let found: ApiKey | undefined;
  // All of them are compared: how long it takes says nothing of which one it was.
  for (const key of known) if (timingSafeEqual(given, Buffer.from(key.sha256, "hex"))) found = key;
  if (found === undefined) throw new RpcError(3001);
  const { principal: id, type, roles, scopes, tenant } = found;
  return { id, type, roles, scopes, verified: true, auth_scheme: "api_key", tenant };
}
