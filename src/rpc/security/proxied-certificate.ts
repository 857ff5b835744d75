// A client certificate that a proxy in front has verified, as its header tells it: `Hash=<SHA-256 in hex>;Subject="<name>";URI=…;DNS=…`, the form
// of Envoy's X-Forwarded-Client-Cert. It is believed or not as a whole: what is not plain to read, said twice, or of several proxies, is none.
import type { PeerSummary } from "../registry/call-context.ts";

/** A value in quotes may hold anything; a quote in it has a backslash before it. */
const PAIR = /([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;=\\\s]*)(?:;|$)/y;
const MAX_LENGTH = 8_192;

/** Undefined for a header that proves nothing. */
export function proxiedCertificate(header: string): PeerSummary | undefined {
  // Headers are handed over byte by byte.
  const text = Buffer.from(header.trim(), "latin1").toString("utf8");
  if (text === "" || header.length > MAX_LENGTH) return undefined;
  const pairs = pairsOf(text);
  const one = (name: string) => pairs?.get(name)?.[0];
  const [hash = "", subject = "", issuer] = [one("hash"), one("subject"), one("issuer")];
  const isTwice = SINGLE.some((name) => (pairs?.get(name)?.length ?? 0) > 1);
  if (pairs === undefined || isTwice || subject === "" || !/^[0-9a-f]{64}$/i.test(hash)) return undefined;
  const own = commonName(subject);
  const by = issuer === undefined ? null : commonName(issuer);
  if (own === undefined || by === undefined) return undefined;
  return {
    common_name: own,
    san_dns: (pairs.get("dns") ?? []).filter(Boolean),
    san_uri: (pairs.get("uri") ?? []).filter(Boolean),
    issuer: by,
    serial: one("serial") ?? "",
    fingerprint: hash.toLowerCase(),
    not_before: "",
    not_after: "",
  };
}

const SINGLE = ["hash", "subject", "issuer", "serial"];

/** By key in lower case. */
function pairsOf(text: string): Map<string, string[]> | undefined {
  const pairs = new Map<string, string[]>();
  PAIR.lastIndex = 0;
  for (let at = 0; at < text.length; at = PAIR.lastIndex) {
    const found = PAIR.exec(text);
    if (found === null) return undefined;
    const [, key = "", value = ""] = found;
    const plain = value.startsWith('"') ? value.slice(1, -1).replaceAll('\\"', '"') : value;
    const name = key.toLowerCase();
    pairs.set(name, [...(pairs.get(name) ?? []), plain]);
  }
  return pairs;
}

const ATTRIBUTE = /\s*([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\s*=((?:[^\\",+;<>]|\\.)*)(?:[,+]|$)/y;
const COMMON_NAME = new Set(["cn", "2.5.4.3"]);

/**
 * Of a name as RFC 4514 writes it, such as `CN=robot,O=Example`: null without one, undefined for a name that is written in another way or has
 * several.
 */
function commonName(name: string): string | null | undefined {
  const found: string[] = [];
  ATTRIBUTE.lastIndex = 0;
  for (let at = 0; at < name.length; at = ATTRIBUTE.lastIndex) {
    const [, type = "", written = ""] = ATTRIBUTE.exec(name) ?? [];
    if (type === "") return undefined;
    if (!COMMON_NAME.has(type.toLowerCase())) continue;
    const value = unescaped(written);
    if (value === undefined || value === "") return undefined;
    found.push(value);
  }
  return found.length > 1 || /[,+]$/.test(name.replace(/\\./g, "")) ? undefined : (found[0] ?? null);
}

/** Undefined for bytes that are no text, and for the hexadecimal form of a whole value. */
function unescaped(written: string): string | undefined {
  // A blank at the end counts where a backslash stands before it.
  const trimmed = /^\s*((?:\\.|[^\\\s]|\s+(?=\S))*)\s*$/s.exec(written)?.[1];
  if (trimmed === undefined || trimmed.startsWith("#")) return undefined;
  const bytes: Buffer[] = [];
  for (const [part, hex, char] of trimmed.matchAll(/\\([0-9A-Fa-f]{2})|\\(.)|[^\\]+/gs))
    bytes.push(hex === undefined ? Buffer.from(char ?? part) : Buffer.from(hex, "hex"));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(bytes));
  } catch {
    return undefined;
  }
}
