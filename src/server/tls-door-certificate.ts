// What is told of a client certificate that the handshake has verified. Never asked before that: of a stranger's certificate with the
// same names the library tells the same.
import type { PeerCertificate } from "node:tls";
import type { AllowedNames } from "./tls-door-terms.ts";

export interface ClientCertificate {
  /** The first, where there are several. */
  readonly commonName: string | undefined;
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  readonly issuerCommonName: string | undefined;
  /** Hexadecimal digits. */
  readonly serial: string;
  /** SHA-256 of its DER bytes in lower case. */
  readonly fingerprint: string;
  /** Unix ms. */
  readonly validFrom: number;
  readonly validUntil: number;
  /** Its names are among those that may come. */
  readonly isAllowed: boolean;
}

/** @throws Error for names that cannot be told apart: nothing is known of such a client. */
export function clientCertificate(shown: PeerCertificate, allowed: AllowedNames = {}): ClientCertificate {
  const names = alternativeNames(shown.subjectaltname ?? "");
  const ofKind = (kind: string) => names.filter((name) => name.kind === kind).map(({ value }) => value);
  const facts = {
    commonName: firstOf(shown.subject?.CN),
    dnsNames: ofKind("DNS"),
    uris: ofKind("URI"),
    issuerCommonName: firstOf(shown.issuer?.CN),
  };
  return {
    ...facts,
    serial: shown.serialNumber,
    fingerprint: new Bun.CryptoHasher("sha256").update(shown.raw).digest("hex"),
    validFrom: Date.parse(shown.valid_from),
    validUntil: Date.parse(shown.valid_to),
    isAllowed: isAllowed(facts, allowed),
  };
}

export type CheckedNames = Pick<ClientCertificate, "commonName" | "dnsNames" | "issuerCommonName">;

/** Of each list that names anybody one name has to be there. */
export function isAllowed(
  { commonName, dnsNames, issuerCommonName }: CheckedNames,
  allowed: AllowedNames,
): boolean {
  const permits = (names: readonly string[] | undefined, own: readonly (string | undefined)[]) =>
    names === undefined ||
    names.length === 0 ||
    own.some((name) => name !== undefined && names.includes(name));
  return (
    permits(allowed.subjectCommonNames, [commonName]) &&
    permits(allowed.dnsNames, dnsNames) &&
    permits(allowed.issuerCommonNames, [issuerCommonName])
  );
}

const firstOf = (name: string | string[] | undefined): string | undefined =>
  (Array.isArray(name) ? name[0] : name) || undefined;

/** A value with anything in it that could end it stands in quotes, as a JSON text. */
const NAME = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/** As the library writes them: `DNS:a.example, URI:"http://b/\u002c c"`. A name cannot pose as two. */
export function alternativeNames(text: string): { readonly kind: string; readonly value: string }[] {
  const names: { kind: string; value: string }[] = [];
  NAME.lastIndex = 0;
  while (NAME.lastIndex < text.length) {
    const found = NAME.exec(text);
    if (found === null) throw new Error("The alternative names of a certificate cannot be read.");
    const [, kind = "", value = ""] = found;
    names.push({ kind, value: value.startsWith('"') ? String(JSON.parse(value)) : value });
  }
  return names;
}
