// The port of the room that speaks TLS and asks for client certificates, as `security.tls` and `rpc.tls` say (contract 18.1). What they say is
// tried before any port opens; what the named files hold is followed while the server runs.
import { resolve } from "node:path";
import type { OwnListener } from "../../protocol/house.ts";
import { readPem, secureOptions, type TlsTerms } from "../../server/tls-door-terms.ts";
import type { RpcDocument } from "../document/document.ts";
import { allowedNames, clientCertificates, type Tls } from "./tls-rules.ts";

/** @throws Error with a sentence for terms that cannot hold. */
export function tlsListener({ rpc, security }: RpcDocument): OwnListener {
  const { port, host, max_connections: maxConnections } = rpc.tls;
  const terms = () => termsOf(security.tls);
  try {
    secureOptions(terms());
  } catch (error) {
    throw new Error(`security.tls: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { port, host, frontPage: {}, tls: { terms, files: filesOf(security.tls), maxConnections } };
}

/** A text, or the file that holds it. */
interface Pem {
  readonly text?: string | undefined;
  readonly path?: string | undefined;
}

interface Pems {
  readonly cert: Pem;
  readonly key: Pem;
  readonly ca: Pem;
  readonly crl: Pem;
}

type Layer = NonNullable<Tls["http"]>;

function pemsOf(tls: Tls): Pems {
  const layers: readonly Layer[] = [tls.http ?? {}, tls];
  // Who asks nobody for a certificate here needs none of what other transports check them with.
  const ofClients = tls.http?.client_cert_verification === "none" ? layers.slice(0, 1) : layers;
  return {
    cert: first(layers, ({ server_cert: text, server_cert_path: path }) => ({ text, path })),
    key: first(layers, ({ server_key: text, server_key_path: path }) => ({ text, path })),
    ca: first(ofClients, ({ ca_cert: text, ca_cert_path: path }) => ({ text, path })),
    crl: first(ofClients, ({ crl_path: path }) => ({ path })),
  };
}

/** Of the layer that says anything of it; there a text overrides a path. */
function first(layers: readonly Layer[], of: (layer: Layer) => Pem): Pem {
  const { text, path } = layers.map(of).find((pem) => pem.text !== undefined || pem.path !== undefined) ?? {};
  return text !== undefined ? { text } : { path: path === undefined ? undefined : resolve(path) };
}

const filesOf = (tls: Tls): string[] => Object.values(pemsOf(tls)).flatMap(({ path }) => path ?? []);

const textOf = ({ text, path }: Pem): string | undefined =>
  text ?? (path === undefined ? undefined : readPem(path));

/** @throws Error with a sentence that names a file. */
function termsOf(tls: Tls): TlsTerms {
  const { cert, key, ca, crl } = pemsOf(tls);
  const { server_key_password, minimum_version, maximum_version, ciphers } = { ...tls, ...tls.http };
  const asked = clientCertificates(tls);
  return {
    cert: textOf(cert) ?? "",
    key: textOf(key) ?? "",
    keyPassword: server_key_password,
    clientCertificates: asked,
    ca: textOf(ca),
    crl: textOf(crl),
    // What a proxy hands on is compared with them, too.
    allowed: asked === "none" && tls.trusted_proxy !== undefined ? undefined : allowedNames(tls),
    minimumVersion: minimum_version,
    maximumVersion: maximum_version,
    ciphers,
  };
}
