// The certificate that the front door shows, read from its files. Only a pair that fits is ever handed on: while a renewal is half
// written, whoever asks gets an error and keeps what it has.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { codeOf } from "../storage/errors.ts";

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface Certificate {
  /** PEM, with the chain. */
  readonly cert: string;
  readonly key: string;
  readonly names: string;
  /** Unix ms. */
  readonly validUntil: number;
}

/** @throws Error with a sentence that names the file. */
export function readCertificate(files: CertificateFiles): Certificate {
  const cert = read(files.cert);
  const key = read(files.key);
  const parsed = parsedAs(files.cert, "certificate", () => new X509Certificate(cert));
  const secret = parsedAs(files.key, "private key", () => createPrivateKey(key));
  if (!parsed.checkPrivateKey(secret))
    throw new Error(`The key in ${files.key} does not belong to the certificate in ${files.cert}.`);
  return {
    cert,
    key,
    names: parsed.subjectAltName ?? parsed.subject,
    validUntil: new Date(parsed.validTo).getTime(),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const missing = codeOf(error) === "ENOENT";
    throw new Error(`The file ${path} ${missing ? "is not there" : "cannot be read by this user"}.`);
  }
}

/** What the library says about a file that is not PEM helps nobody, and a key's text must not be in an error. */
function parsedAs<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new Error(`The file ${path} holds no usable ${what} in PEM form.`);
  }
}
