// JSON bodies: UTF-8 without a byte order mark, at most 64 levels deep.
import { RpcError } from "../wire/rpc-error.ts";
import { type Claim, type Format, MAX_NESTING, UNCLAIMED } from "./format.ts";
import { weighJson } from "./value-count.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const jsonFormat: Format = {
  contentType: "application/json",
  decode: (bytes, claim = UNCLAIMED) => parseJson(textOf(bytes), claim),
  encode: (response) => JSON.stringify(response),
};

/** @throws RpcError 1003; 2004 for more values than a message may have */
export function parseJson(text: string, claim: Claim): unknown {
  if (weighJson(text, MAX_NESTING, claim))
    throw new RpcError(1003, { message: `the body is nested more than ${MAX_NESTING} levels deep` });
  try {
    // Whoever writes a byte order mark hears of it here: JSON has none.
    return JSON.parse(text);
  } catch (cause) {
    throw new RpcError(1003, { message: "the body is no JSON", cause });
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch (cause) {
    throw new RpcError(1003, { message: "the body is no UTF-8", cause });
  }
}
