// What the room knows of a client certificate, and what of that may be told (contract 18.4): enough to tell certificates apart, too little to
// be one.
import type { ClientCertificate } from "../../server/tls-door-certificate.ts";
import type { PeerSummary } from "../registry/call-context.ts";

const summaries = new WeakMap<ClientCertificate, PeerSummary>();

/** Made once for a connection. */
export function summaryOf(certificate: ClientCertificate): PeerSummary {
  const known = summaries.get(certificate);
  if (known !== undefined) return known;
  const summary: PeerSummary = {
    common_name: certificate.commonName ?? null,
    san_dns: certificate.dnsNames,
    san_uri: certificate.uris,
    issuer: certificate.issuerCommonName ?? null,
    serial: certificate.serial,
    fingerprint: certificate.fingerprint,
    not_before: dateOf(certificate.validFrom),
    not_after: dateOf(certificate.validUntil),
  };
  summaries.set(certificate, summary);
  return summary;
}

const FINGERPRINT = 16;
const SERIAL = 8;

/** For handlers and the audit. */
export const told = (summary: PeerSummary): PeerSummary => ({
  ...summary,
  serial: hex(summary.serial).slice(0, SERIAL),
  fingerprint: hex(summary.fingerprint).slice(0, FINGERPRINT),
});

const hex = (text: string): string => text.replaceAll(":", "").toLowerCase();

/** What is no date is left out. */
function dateOf(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}
