// Stage 8: who calls (contract 9.3, 18.3). Without an authenticator a caller is what it says, and nothing that counts believes it.
import { bearerToken } from "../../auth/bearer.ts";
import type { RpcDocument } from "../document/document.ts";
import type { Call, Identity } from "../pipeline/call.ts";
import type { HeaderSource } from "../pipeline/incoming.ts";
import type { Authentication } from "../pipeline/parts.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { certificateIdentity } from "./certificate-identity.ts";
import { type Authenticate, askEach } from "./module-authenticator.ts";
import { apiKeyIdentity, jwtIdentity } from "./token-identity.ts";

type Security = RpcDocument["security"];

/**
 * By the name that was called: an alias is open only when it is named itself. Who may open a stream unproved may also end it, and go on with
 * it: whose it is is looked at there.
 */
export const isAnonymousMethod = ({ config, asked, about }: Call): boolean =>
  config.security.anonymous_methods.includes(about ?? asked.method.full);

export class Authenticators implements Authentication {
  /** `others`: authenticators that modules bring, asked each time. */
  constructor(private readonly others: () => readonly Authenticate[] = () => []) {}

  /** @throws RpcError 3000, 3001, 3002 */
  identify(call: Call): Identity | Promise<Identity> {
    const auth = call.asked.metadata?.auth;
    const { headers, peer } = call.incoming;
    refuseBarred(call);
    if (auth?.scheme === "mtls" && peer.certificate === null) throw noCertificate();
    const credentials = auth?.credentials || fromHeaders(headers);
    const others = this.others();
    if (others.length === 0) return decide(call, credentials, builtIn(call, credentials, false));
    return askEach(
      others,
      {
        scheme: auth?.scheme ?? null,
        credentials: credentials ?? null,
        headers,
        certificate: peer.certificate,
        method: call.asked.method.full,
      },
      boundOf(call),
    ).then((known) => decide(call, credentials, known ?? builtIn(call, credentials, true)));
  }
}

/** Of the room itself, whatever the document calls anonymous: whoever watches a server asks for it. */
const HEALTH = "rpc.v2/HealthService/";

/** Before anything that is presented is looked at (contract 18.1, 18.2). */
function refuseBarred({ incoming, asked, about }: Call): void {
  const { barred } = incoming.peer;
  if (barred === undefined) return;
  if (barred === "plain" && (about ?? asked.method.full).startsWith(HEALTH)) return;
  throw rpcError(
    3000,
    "permission_denied",
    barred === "plain" ? "calls come through TLS only" : "the client certificate is not one that may call",
  );
}

const noCertificate = (): RpcError =>
  rpcError(3000, "permission_denied", "no client certificate that was verified", {
    field: "metadata.auth.scheme",
  });

function fromHeaders(headers: HeaderSource): string | undefined {
  const text = bearerToken(headers.get("authorization")) ?? headers.get("x-api-key");
  if (text === null || text === "") return undefined;
  // Headers are handed over byte by byte; a key is the text that its bytes are in UTF-8.
  return /[^\0-\x7f]/.test(text) ? Buffer.from(text, "latin1").toString("utf8") : text;
}

/** Of the call's deadline, which is not set before its method is known. */
function boundOf({ config: { qos }, asked, incoming }: Call): number {
  const wholeMs = Math.min(asked.qos.timeoutMs ?? qos.default_timeout_ms, qos.max_timeout_ms);
  return Math.max(0, wholeMs - (performance.now() - incoming.startedAt));
}

/** Undefined where nothing was presented, or nobody is there who could look at it. */
function builtIn(
  { config: { security }, asked }: Call,
  credentials: string | undefined,
  hasOthers: boolean,
): Identity | undefined {
  const isOn = security.jwt !== undefined || security.api_keys.length > 0 || hasOthers;
  const scheme = asked.metadata?.auth?.scheme;
  if (credentials === undefined || !isOn || scheme === "mtls") return undefined;
  const isJwt = scheme === undefined ? credentials.split(".", 4).length === 3 : scheme === "bearer";
  if (!isJwt) return apiKeyIdentity(credentials, security.api_keys);
  if (security.jwt === undefined) throw new RpcError(3001);
  return jwtIdentity(credentials, security.jwt);
}

function decide(call: Call, credentials: string | undefined, token: Identity | undefined): Identity {
  const { security } = call.config;
  const { certificate, proved } = call.incoming.peer;
  const peer = certificate === null ? undefined : certificateIdentity(certificate, security.tls.principal);
  const scheme = call.asked.metadata?.auth?.scheme;
  // One that names nobody proves nothing.
  if (scheme === "mtls" && peer === undefined && token === undefined) throw noCertificate();
  const identity = oneOf(token, peer, security);
  if (identity?.verified === true) proved?.(`rpc/${identity.id}`);
  if (identity !== undefined && (identity.verified || !security.require_auth)) return identity;
  if (security.require_auth && !isAnonymousMethod(call))
    throw new RpcError(credentials === undefined || identity !== undefined ? 3000 : 3001);
  return identity ?? claimed(call);
}

/** A token and a certificate that name different principals: the document says which one counts. */
function oneOf(
  token: Identity | undefined,
  peer: Identity | undefined,
  { tls: { on_conflict } }: Security,
): Identity | undefined {
  if (token === undefined || peer === undefined) return token ?? peer;
  // A module that calls somebody anonymous has proved nothing; the certificate has.
  if (!token.verified) return peer;
  if (token.id === peer.id || on_conflict === "token") return token;
  if (on_conflict === "cert") return peer;
  throw rpcError(3001, "permission_denied", "the token and the client certificate name different principals");
}

/** What the caller says of itself. */
function claimed({ config: { security }, asked }: Call): Identity {
  const auth = asked.metadata?.auth;
  const id = auth?.principal || "anonymous";
  return {
    id,
    type: auth?.principalType ?? (id === "anonymous" ? "anonymous" : "user"),
    roles: auth?.roles ?? [security.default_role],
    scopes: [],
    verified: false,
    auth_scheme: null,
    tenant: undefined,
  };
}
