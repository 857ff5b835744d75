// Stage 8: who calls (contract 9.3, 18.3). Without an authenticator a caller is what it says, and nothing that counts believes it.
import { bearerToken } from "../../auth/bearer.ts";
import type { RpcDocument } from "../document/document.ts";
import type { Call, Identity } from "../pipeline/call.ts";
import type { HeaderSource } from "../pipeline/incoming.ts";
import type { Authentication } from "../pipeline/parts.ts";
import type { PeerSummary } from "../registry/call-context.ts";
import type { AuthScheme } from "../wire/request-metadata.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { certificateIdentity } from "./certificate-identity.ts";
import { apiKeyIdentity, jwtIdentity } from "./token-identity.ts";

/** What an authenticator of somebody else's is asked with. */
export interface AuthenticateInput {
  readonly scheme: AuthScheme | null;
  readonly credentials: string | null;
  readonly headers: HeaderSource;
  readonly certificate: PeerSummary | null;
  readonly method: string;
}

/** Null: it knows nothing of it, and the next is asked. @throws RpcError 3000, 3001, 3002 */
export type Authenticate = (input: AuthenticateInput) => Identity | null | Promise<Identity | null>;

type Security = RpcDocument["security"];

export const isAnonymousMethod = ({ config, asked }: Call): boolean =>
  config.security.anonymous_methods.includes(asked.method.full);

export class Authenticators implements Authentication {
  /** `others`: authenticators that modules bring, asked each time. */
  constructor(private readonly others: () => readonly Authenticate[] = () => []) {}

  /** @throws RpcError 3000, 3001, 3002 */
  identify(call: Call): Identity | Promise<Identity> {
    const auth = call.asked.metadata?.auth;
    const { headers, peer } = call.incoming;
    if (auth?.scheme === "mtls" && peer.certificate === null)
      throw rpcError(3000, "permission_denied", "no client certificate that was verified", {
        field: "metadata.auth.scheme",
      });
    const credentials =
      auth?.credentials ?? bearerToken(headers.get("authorization")) ?? headers.get("x-api-key") ?? undefined;
    const others = this.others();
    if (others.length === 0) return decide(call, credentials, builtIn(call, credentials, others));
    return askEach(others, {
      scheme: auth?.scheme ?? null,
      credentials: credentials ?? null,
      headers,
      certificate: peer.certificate,
      method: call.asked.method.full,
    }).then((known) => decide(call, credentials, known ?? builtIn(call, credentials, others)));
  }
}

async function askEach(
  others: readonly Authenticate[],
  input: AuthenticateInput,
): Promise<Identity | undefined> {
  for (const authenticate of others) {
    const known = await authenticate(input);
    if (known !== null) return known;
  }
  return undefined;
}

/** Undefined where nothing was presented, or nobody is there who could look at it. */
function builtIn(
  { config: { security }, asked }: Call,
  credentials: string | undefined,
  others: readonly Authenticate[],
): Identity | undefined {
  const isOn = security.jwt !== undefined || security.api_keys.length > 0 || others.length > 0;
  const scheme = asked.metadata?.auth?.scheme;
  if (credentials === undefined || !isOn || scheme === "mtls") return undefined;
  const isJwt = scheme === undefined ? credentials.split(".").length === 3 : scheme === "bearer";
  if (!isJwt) return apiKeyIdentity(credentials, security.api_keys);
  if (security.jwt === undefined) throw new RpcError(3001);
  return jwtIdentity(credentials, security.jwt);
}

function decide(call: Call, credentials: string | undefined, token: Identity | undefined): Identity {
  const { security } = call.config;
  const { certificate } = call.incoming.peer;
  const peer = certificate === null ? undefined : certificateIdentity(certificate, security.tls.principal);
  const identity = oneOf(token, peer, security);
  if (identity !== undefined) return identity;
  if (security.require_auth && !isAnonymousMethod(call))
    throw new RpcError(credentials === undefined ? 3000 : 3001);
  return claimed(call);
}

/** A token and a certificate that name different principals: the document says which one counts. */
function oneOf(
  token: Identity | undefined,
  peer: Identity | undefined,
  { tls: { on_conflict } }: Security,
): Identity | undefined {
  if (token === undefined || peer === undefined) return token ?? peer;
  if (token.id === peer.id || on_conflict === "token") return token;
  if (on_conflict === "cert") return peer;
  throw rpcError(3001, "permission_denied", "the token and the client certificate name different principals");
}

/** What the caller says of itself. */
function claimed({ config: { security }, asked }: Call): Identity {
  const auth = asked.metadata?.auth;
  const id = auth?.principal ?? "anonymous";
  return {
    id,
    type: auth?.principalType ?? (auth?.principal === undefined ? "anonymous" : "user"),
    roles: auth?.roles ?? [security.default_role],
    scopes: [],
    verified: false,
    auth_scheme: null,
    tenant: undefined,
  };
}
