// MessagePack bodies (contract 11.4): one map with the keys of JSON.
import { decode, Encoder } from "@msgpack/msgpack";
import { RpcError } from "../wire/rpc-error.ts";
import { withBytes } from "./bytes.ts";
import { type Format, UNCLAIMED } from "./format.ts";
import { msgpackShape } from "./msgpack-shape.ts";
import { wellFormed } from "./well-formed.ts";

/** An answer may be nested deeper than a request. */
const ENCODED_DEPTH = 256;

export const msgpackFormat: Format = {
  contentType: "application/msgpack",
  decode: (bytes, claim = UNCLAIMED) => {
    const { hasBinary, heldBytes } = msgpackShape(bytes);
    claim(heldBytes);
    try {
      const message = decode(bytes);
      return hasBinary ? withBytes(message) : message;
    } catch (cause) {
      throw new RpcError(1003, { message: "the body is no MessagePack", cause });
    }
  },
  // Of its own for each: one that encodes grows its buffer and keeps it.
  encode: (response) => {
    const encoder = new Encoder({ ignoreUndefined: true, maxDepth: ENCODED_DEPTH });
    return encoder.encode(wellFormed(response)) as Uint8Array<ArrayBuffer>;
  },
};
