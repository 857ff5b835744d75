// The principal that a verified client certificate names (contract 18.3).
import type { RpcDocument } from "../document/document.ts";
import type { Identity } from "../pipeline/call.ts";
import type { PeerSummary } from "../registry/call-context.ts";
import { matches } from "./glob.ts";

type Mapping = RpcDocument["security"]["tls"]["principal"];

/** Undefined for a certificate that has none of the names. */
export function certificateIdentity(
  certificate: PeerSummary,
  { order, type, role_map }: Mapping,
): Identity | undefined {
  const names = {
    uri: certificate.san_uri[0],
    dns: certificate.san_dns[0],
    cn: certificate.common_name ?? undefined,
  };
  const id = order.map((kind) => names[kind]).find((name) => name !== undefined && name !== "");
  if (id === undefined) return undefined;
  const roles = Object.entries(role_map).flatMap(([pattern, own]) => (matches(pattern, id) ? own : []));
  return {
    id,
    type,
    roles: [...new Set(roles)],
    scopes: [],
    verified: true,
    auth_scheme: "mtls",
    tenant: undefined,
  };
}
