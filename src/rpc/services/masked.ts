// The document as it may be shown: every key that may hold a secret says only that it holds one.
import type { RpcDocument } from "../document/document.ts";
import { isFields } from "../wire/problems.ts";
import { REDACTED, redacted } from "../wire/redact.ts";

/** Beside those that every log leaves out. A hash too: a short key is found from it. */
const SECRET = new Set(["sha256", "server_key"]);

export function maskedDocument(document: RpcDocument): unknown {
  return masked(redacted(document));
}

function masked(value: unknown, key = ""): unknown {
  if (value === undefined || value === null) return value;
  if (SECRET.has(key)) return REDACTED;
  // Whoever collects traces may have a token under any name.
  if (key === "otlp_headers" && isFields(value))
    return Object.fromEntries(Object.keys(value).map((name) => [name, REDACTED]));
  if (typeof value === "string")
    return key.endsWith("_url") || key.endsWith("_endpoint") || key === "server_addresses"
      ? withoutUser(value)
      : value;
  if (Array.isArray(value)) return value.map((item) => masked(item, key));
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, masked(item, name)]));
}

/** A password in an address, also in one that is none. */
const withoutUser = (url: string): string =>
  url.replace(
    /^([a-z][a-z0-9+.-]*:\/\/)?[^/?#]*@/i,
    (_all, scheme: string | undefined) => `${scheme ?? ""}${REDACTED}@`,
  );
