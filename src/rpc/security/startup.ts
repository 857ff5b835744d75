// What a document says of security that would let in nobody, or everybody: a start, and a change while the server runs, is refused for it,
// with a sentence (contract 9.3, 16).
import type { RpcDocument } from "../document/document.ts";
import { clientCertificates } from "./tls-rules.ts";

export interface SecurityFacts {
  /** Modules bring authenticators. */
  readonly hasModules: boolean;
}

/** Somebody looks at what callers present. */
function hasAuthenticator({ security, rpc }: RpcDocument, { hasModules }: SecurityFacts): boolean {
  const { jwt, api_keys, tls } = security;
  const asked = [clientCertificates(tls), tls.grpc?.client_cert_verification ?? "none"];
  const hasTls = rpc.tls.port > 0 && asked.some((one) => one !== "none");
  const hasProxy = tls.trusted_proxy !== undefined;
  return jwt !== undefined || api_keys.length > 0 || hasModules || hasTls || hasProxy;
}

/** @throws Error with a sentence for the person */
export function refuseSecurity(document: RpcDocument, facts: SecurityFacts): void {
  const { security } = document;
  const { rbac_enabled, trust_metadata_identity, default_role, superadmin_role, api_keys } = security;
  if (rbac_enabled && !trust_metadata_identity && !hasAuthenticator(document, facts))
    throw new Error(
      "security.rbac_enabled checks roles, but nothing proves who calls: set security.jwt or security.api_keys, ask for client certificates, or, while you develop, set security.trust_metadata_identity.",
    );
  if (rbac_enabled && superadmin_role !== "" && default_role === superadmin_role)
    throw new Error(
      `security.default_role and security.superadmin_role are both "${default_role}": everybody could do everything.`,
    );
  const seen = new Set<string>();
  for (const { sha256, principal } of api_keys) {
    if (seen.has(sha256))
      throw new Error(`security.api_keys has the key of "${principal}" twice: one key is one principal.`);
    seen.add(sha256);
  }
}

/** RFC 7518, 3.2: as long as the hash. */
const SHORTEST_SECRET_BYTES = 32;

/** Sentences for the log. `host`: the address that calls arrive at. */
export function securityWarnings(
  document: RpcDocument,
  facts: SecurityFacts,
  host: string,
): readonly string[] {
  const { security } = document;
  const warnings: string[] = [];
  if (security.trust_metadata_identity)
    warnings.push(
      "security.trust_metadata_identity is on: callers have the principal and the roles that they say they have. Only for development.",
    );
  if (!isLoopback(host) && !hasAuthenticator(document, facts))
    warnings.push(
      "Everybody who reaches this server may call its methods: set security.api_keys or security.jwt, and security.require_auth, in rpc.yaml of the data folder (docs/rpc.md), or listen on 127.0.0.1.",
    );
  if (security.jwt !== undefined && Buffer.byteLength(security.jwt.secret) < SHORTEST_SECRET_BYTES)
    warnings.push(
      `security.jwt.secret has less than ${SHORTEST_SECRET_BYTES} bytes: it can be found out from one token.`,
    );
  return warnings;
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(host);
