// JSON bodies: UTF-8 without a byte order mark, at most 64 levels deep.
import { isTooDeep } from "../../limits/json-depth.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { type Format, MAX_NESTING } from "./format.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const jsonFormat: Format = {
  contentType: "application/json",
  decode: (bytes) => {
    return parseJson(textOf(bytes));
  },
  encode: (response) => JSON.stringify(response),
};

/** @throws RpcError 1003 */
export function parseJson(text: string): unknown {
  if (isTooDeep(text, MAX_NESTING))
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
