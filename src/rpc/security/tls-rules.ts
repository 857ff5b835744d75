// What `security.tls` and `rpc.tls` say, and what nobody may start with: a document that asks for certificates where no port does would let in
// everybody (contract 18.1).
import type { AllowedNames, ClientCertificates } from "../../server/tls-door-terms.ts";
import type { RpcDocument } from "../document/document.ts";

export type Tls = RpcDocument["security"]["tls"];

/** Of calls over HTTP. */
export const clientCertificates = ({ http, client_cert_verification }: Tls): ClientCertificates =>
  http?.client_cert_verification ?? client_cert_verification ?? "none";

/** Of client certificates of calls over HTTP; undefined where nothing is said. */
export function allowedNames(tls: Tls): AllowedNames | undefined {
  const { http } = tls;
  // What other transports check says nothing of one that asks for none, unless a proxy asks.
  const isInherited = http?.client_cert_verification !== "none" || tls.trusted_proxy !== undefined;
  const { allowed_subject_cns, allowed_san_dns, allowed_issuer_cns } = isInherited
    ? { ...tls, ...http }
    : (http ?? {});
  if ([allowed_subject_cns, allowed_san_dns, allowed_issuer_cns].every((names) => !names?.length))
    return undefined;
  return {
    subjectCommonNames: allowed_subject_cns,
    dnsNames: allowed_san_dns,
    issuerCommonNames: allowed_issuer_cns,
  };
}

/** `port`: the server's own. @throws Error with a sentence for the person */
export function refuseTls({ rpc, security: { tls } }: RpcDocument, port: number): void {
  const every = tls.trusted_proxy?.addresses.find((range) => /\/0+$/.test(range));
  if (every !== undefined)
    throw new Error(
      `security.tls.trusted_proxy.addresses has ${every}: everybody could call in the name of any certificate.`,
    );
  if (rpc.tls.port === 0) {
    if (clientCertificates(tls) !== "none")
      throw new Error("security.tls asks for client certificates, but no port does: set rpc.tls.port.");
    if (tls.required_for_rpc && tls.trusted_proxy === undefined)
      throw new Error(
        "security.tls.required_for_rpc refuses calls without TLS, but no port speaks it: set rpc.tls.port.",
      );
    return;
  }
  if (rpc.tls.port === port)
    throw new Error(`rpc.tls.port is ${port}, the server's own port: choose another one.`);
  for (const [what, text, path] of [
    ["certificate", "server_cert", "server_cert_path"],
    ["private key", "server_key", "server_key_path"],
  ] as const)
    if ([tls, tls.http].every((layer) => layer?.[text] === undefined && layer?.[path] === undefined))
      throw new Error(
        `rpc.tls.port opens a port for TLS, and there is no ${what} for it: set security.tls.${path}.`,
      );
}

/** Sentences for the log. */
export function tlsWarnings({ rpc, security }: RpcDocument): readonly string[] {
  const { tls, require_auth } = security;
  const warnings: string[] = [];
  const isRequired = rpc.tls.port > 0 && clientCertificates(tls) === "required";
  if (isRequired && !tls.required_for_rpc && !require_auth)
    warnings.push(
      "Calls at the server's own port need no client certificate: set security.tls.required_for_rpc, or security.require_auth.",
    );
  if (rpc.tls.port === 0 && [tls, tls.http].some((one) => one?.server_cert ?? one?.server_cert_path))
    warnings.push("security.tls names a certificate, but no port shows it: set rpc.tls.port.");
  if (tls.grpc !== undefined)
    warnings.push("security.tls.grpc has no effect: gRPC is not served yet, and no port is opened for it.");
  return warnings;
}
