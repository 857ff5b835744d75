// Who is at the other end of a request over HTTP, and what its connection proves (contract 18.2, 18.3): a certificate that the handshake
// verified at the room's own TLS port, or the word of a proxy that the document names. Nobody else's word counts.
import { type AddressRange, isTrusted, parseRanges } from "../../server/client-address.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import { isAllowed } from "../../server/tls-door-certificate.ts";
import type { RpcDocument } from "../document/document.ts";
import type { HeaderSource, Peer } from "../pipeline/incoming.ts";
import type { PeerSummary } from "../registry/call-context.ts";
import { summaryOf } from "../security/certificate-summary.ts";
import { proxiedCertificate } from "../security/proxied-certificate.ts";
import { allowedNames, clientCertificates, type Tls } from "../security/tls-rules.ts";

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

/** What a proxy, or a browser, says of those that it speaks for. */
const SPEAKS_FOR_OTHERS = ["x-forwarded-for", "forwarded", "via", "x-real-ip", "origin", "sec-fetch-site"];

export type PeerFacts = Pick<RequestFacts, "caller" | "certificate" | "clientAddress">;

export function peerOf(
  facts: PeerFacts,
  headers: HeaderSource,
  { rpc, security: { tls } }: RpcDocument,
): Peer {
  const { clientAddress: address } = facts;
  // A page in somebody's browser calls from this machine too, and so does a proxy that does not say for whom.
  const isItself = LOOPBACK.test(address) && !SPEAKS_FOR_OTHERS.some((name) => headers.get(name) !== null);
  const proved = (account: string) => facts.caller.authenticated(account);
  const { port } = rpc.tls;
  if (port === 0 && tls.trusted_proxy === undefined)
    return {
      address,
      isLoopback: isItself,
      certificate: null,
      proved,
      ...(tls.required_for_rpc && { barred: "plain" }),
    };
  const { peer } = facts.caller;
  const isOwnPort = port !== 0 && peer.localPort === port;
  const proxy = isProxy(peer.address, tls) ? tls.trusted_proxy : undefined;
  const header = proxy && headers.get(proxy.header);
  const isProxied = header !== undefined && header !== null;
  // A proxy's own certificate is none of those that it speaks for.
  const shown = proxy === undefined ? isOwnPort && ofConnection(facts) : isProxied && ofHeader(header, tls);
  const certificate = shown !== false && shown.isAllowed ? shown.summary : null;
  const isBarred = isOwnPort ? clientCertificates(tls) === "required" : tls.required_for_rpc;
  return {
    address,
    isLoopback: isItself && !isProxied,
    certificate,
    proved,
    ...(shown !== false && certificate === null && { turnedAway: shown.summary }),
    ...(isBarred && certificate === null && { barred: isOwnPort ? "certificate" : "plain" }),
  };
}

interface Shown {
  readonly summary: PeerSummary;
  readonly isAllowed: boolean;
}

/** A connection may outlive the certificate that it came with; the proof does not. */
function ofConnection({ certificate }: PeerFacts): Shown | false {
  return (
    certificate !== undefined && {
      summary: summaryOf(certificate),
      isAllowed: certificate.isAllowed && certificate.validUntil >= Date.now(),
    }
  );
}

function ofHeader(header: string, tls: Tls): Shown | false {
  const summary = proxiedCertificate(header);
  if (summary === undefined) return false;
  const names = {
    commonName: summary.common_name ?? undefined,
    dnsNames: summary.san_dns,
    issuerCommonName: summary.issuer ?? undefined,
  };
  return { summary, isAllowed: isAllowed(names, allowedNames(tls) ?? {}) };
}

const ranges = new WeakMap<object, readonly AddressRange[]>();

function isProxy(address: string, { trusted_proxy: proxy }: Tls): boolean {
  if (proxy === undefined) return false;
  let trusted = ranges.get(proxy);
  if (trusted === undefined) {
    trusted = parseRanges(proxy.addresses);
    ranges.set(proxy, trusted);
  }
  return isTrusted(address, trusted);
}
