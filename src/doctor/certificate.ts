// Whether phones will accept the certificate that a server shows: trusted, whole chain, right name, not about to end.

import { isIP } from "node:net";
import { connect } from "node:tls";
import { within } from "../within.ts";
import { type Finding, failure, ok, problemOf, skipped, warning } from "./finding.ts";
import { FULL_CHAIN } from "./proxy-lines.ts";

const SHAKE_MS = 15_000;
const DAY_MS = 86_400_000;
/** Whoever renews by itself does so 30 days before. */
export const SOON_DAYS = 14;

interface Shown {
  readonly problem: string | undefined;
  readonly message: string;
  readonly validUntil: number;
}

export async function checkCertificate(url: URL): Promise<Finding> {
  if (url.protocol !== "https:")
    return skipped("certificate", "The address is not https: there is no certificate.");
  let shown: Shown;
  try {
    shown = await look(url);
  } catch (error) {
    return failure("certificate", `No TLS connection: ${problemOf(error)}.`, { proxy: FULL_CHAIN });
  }
  const { problem, message, validUntil } = shown;
  if (problem !== undefined)
    return failure(
      "certificate",
      `Phones refuse the certificate: ${WORDS[problem] ?? `${message} (${problem})`}.`,
      {
        proxy: FULL_CHAIN,
      },
    );
  return untilWhen("certificate", validUntil, "The certificate is trusted, its chain is whole");
}

/** The finding about a certificate that is fine but for its age. */
export function untilWhen(check: "certificate", validUntil: number, fine: string): Finding {
  const days = Math.floor((validUntil - Date.now()) / DAY_MS);
  const date = new Date(validUntil).toISOString().slice(0, 10);
  if (days < 0) return failure(check, `The certificate ended on ${date}.`, { proxy: FULL_CHAIN });
  if (days < SOON_DAYS)
    return warning(check, `The certificate ends in ${days} days, on ${date}.`, {
      fix: "See why it was not renewed yet.",
    });
  return ok(check, `${fine}, and it is good until ${date}.`);
}

const WORDS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "it comes from an authority of your own, which phones do not know",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the chain is not whole, or its authority is unknown",
  UNABLE_TO_GET_ISSUER_CERT: "the chain is not whole, or its authority is unknown",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the chain is not whole, or its authority is unknown",
  CERT_HAS_EXPIRED: "it has ended",
  CERT_NOT_YET_VALID: "it is not valid yet (or a clock is wrong)",
  ERR_TLS_CERT_ALTNAME_INVALID: "it is for another name",
};

function look(url: URL): Promise<Shown> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const { promise, resolve, reject } = Promise.withResolvers<Shown>();
  const socket = connect(
    {
      host,
      port: Number(url.port) || 443,
      ...(isIP(host) === 0 && { servername: host }),
      rejectUnauthorized: false,
    },
    () => {
      const error: unknown = socket.authorizationError;
      const code =
        error instanceof Error && "code" in error ? String(error.code) : error ? String(error) : undefined;
      const validTo = socket.getPeerCertificate().valid_to;
      resolve({
        problem: socket.authorized ? undefined : (code ?? "unknown"),
        message: error instanceof Error ? problemOf(error) : String(error ?? ""),
        validUntil: new Date(validTo).getTime(),
      });
    },
  );
  socket.on("error", reject);
  const late = () => new Error(`no answer within ${SHAKE_MS / 1_000} s`);
  return within(SHAKE_MS, promise, late).finally(() => socket.destroy());
}
