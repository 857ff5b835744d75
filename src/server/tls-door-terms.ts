// What a TLS door shows and asks for: its certificate, whose client certificates it takes, versions and ciphers. Terms that cannot hold
// are refused with a sentence before a port opens or a renewal takes effect; nothing in them is accepted and ignored.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { codeOf } from "../storage/errors.ts";

/** `none`: nobody is asked. `optional`: who shows one has to be trusted. `required`: nobody comes in without one. */
export type ClientCertificates = "none" | "optional" | "required";
export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** Names that a client certificate may have. A list that is empty or absent asks nothing. */
export interface AllowedNames {
  readonly subjectCommonNames?: readonly string[] | undefined;
  readonly dnsNames?: readonly string[] | undefined;
  readonly issuerCommonNames?: readonly string[] | undefined;
}

/** Texts in PEM form. */
export interface TlsTerms {
  /** With its chain. */
  readonly cert: string;
  readonly key: string;
  readonly keyPassword?: string | undefined;
  readonly clientCertificates: ClientCertificates;
  /** Authorities whose client certificates are trusted. */
  readonly ca?: string | undefined;
  /** Certificates that those authorities took back. */
  readonly crl?: string | undefined;
  readonly allowed?: AllowedNames | undefined;
  readonly minimumVersion?: TlsVersion | undefined;
  readonly maximumVersion?: TlsVersion | undefined;
  /** OpenSSL's list, of TLS 1.2; those of TLS 1.3 cannot be chosen. */
  readonly ciphers?: string | undefined;
}

/** Paths of PEM files; what is not in a file is given as it is. */
export interface TlsFiles extends Omit<TlsTerms, "cert" | "key" | "ca" | "crl"> {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string | undefined;
  readonly crl?: string | undefined;
}

/** @throws Error with a sentence that names the file. */
export function readTlsTerms(files: TlsFiles): TlsTerms {
  return {
    ...files,
    cert: readPem(files.cert),
    key: readPem(files.key),
    ca: files.ca === undefined ? undefined : readPem(files.ca),
    crl: files.crl === undefined ? undefined : readPem(files.crl),
  };
}

/**
 * What `node:tls` is given. Complete: `setSecureContext` forgets whatever it is not told again.
 * @throws Error with a sentence, without anything of a key.
 */
export function secureOptions(terms: TlsTerms): SecureContextOptions {
  const { cert, key, keyPassword, clientCertificates, ca, crl, allowed } = terms;
  const { minimumVersion = "TLSv1.2", maximumVersion = "TLSv1.3", ciphers } = terms;
  const asks = clientCertificates !== "none";
  if (asks && ca === undefined)
    throw new Error(`Client certificates are ${clientCertificates}, and no authority is named for them.`);
  if (!asks && (ca !== undefined || crl !== undefined || namesSomebody(allowed)))
    throw new Error("Client certificates are not asked for, but an authority, a list or names are given.");
  if (minimumVersion > maximumVersion)
    throw new Error(`No version of TLS is at least ${minimumVersion} and at most ${maximumVersion}.`);
  if (ciphers !== undefined) refuseUnchoosable(ciphers);
  refuseOddPair(cert, key, keyPassword);
  const options: SecureContextOptions = {
    cert,
    key,
    passphrase: keyPassword,
    ca: ca === undefined ? undefined : certificatesOf(ca),
    crl,
    minVersion: minimumVersion,
    maxVersion: maximumVersion,
    ciphers,
  };
  try {
    createSecureContext(options);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ERR_SSL_NO_CIPHER_MATCH") throw new Error(`No cipher is known of "${ciphers}".`);
    throw new Error(`The certificates cannot be used for TLS (${code ?? "no code"}).`);
  }
  return options;
}

const namesSomebody = (allowed: AllowedNames | undefined): boolean =>
  Object.values(allowed ?? {}).some((names) => (names?.length ?? 0) > 0);

/** BoringSSL takes such names in silence and goes on with all three of TLS 1.3. */
function refuseUnchoosable(ciphers: string): void {
  const fixed = ciphers.split(/[:, ]/).find((name) => name.replace(/^[!+-]/, "").startsWith("TLS_"));
  if (fixed !== undefined)
    throw new Error(
      `The cipher ${fixed} is one of TLS 1.3, which cannot be chosen; only those of TLS 1.2 can.`,
    );
}

function refuseOddPair(cert: string, key: string, passphrase: string | undefined): void {
  const shown = usable("certificate", () => new X509Certificate(cert));
  const secret = usable("private key, or its password is another one", () =>
    createPrivateKey({ key, format: "pem", passphrase }),
  );
  if (!shown.checkPrivateKey(secret)) throw new Error("The private key does not belong to the certificate.");
}

const PEM =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

function certificatesOf(ca: string): string[] {
  const each = ca.match(PEM) ?? [];
  if (each.length === 0) throw new Error("The authorities hold no certificate in PEM form.");
  for (const one of each) usable("certificate of an authority", () => new X509Certificate(one));
  return each;
}

/** What the library says about a text that is not PEM helps nobody, and a key's text must not be in an error. */
function usable<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new Error(`There is no usable ${what} in PEM form.`);
  }
}

/** @throws Error with a sentence that names the file. */
export function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`The file ${path} ${codeOf(error) === "ENOENT" ? "is not there" : "cannot be read"}.`);
  }
}
