// All formats and compressions, each loaded when a body first asks for it.
import type { Compression, ContentType } from "../document/document.ts";
import type { RpcResponse } from "../wire/response.ts";
import type { Claim, Format } from "./format.ts";
import { jsonFormat } from "./json.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export class Formats {
  readonly #loaded = new Map<ContentType, Format>([["application/json", jsonFormat]]);

  /** @throws RpcError 1003, 2004; what `claim` throws */
  decode(bytes: Uint8Array, type: ContentType, claim: Claim): unknown {
    const format = this.#loaded.get(type);
    return format === undefined
      ? this.#load(type).then((loaded) => loaded.decode(bytes, claim))
      : format.decode(bytes, claim);
  }

  encode(response: RpcResponse, type: ContentType): string | Bytes | Promise<string | Bytes> {
    const format = this.#loaded.get(type);
    return format === undefined
      ? this.#load(type).then((loaded) => loaded.encode(response))
      : format.encode(response);
  }

  /** @throws RpcError 1004 for a stream that is broken, 2004 above the limit */
  async expand(bytes: Uint8Array, compression: Compression, limitBytes: number): Promise<Uint8Array> {
    return (await import("./compression.ts")).expand(bytes, compression, limitBytes);
  }

  async compress(bytes: Bytes, compression: Compression): Promise<Bytes> {
    return (await import("./compression.ts")).compress(bytes, compression);
  }

  async #load(type: ContentType): Promise<Format> {
    const format = await load(type);
    this.#loaded.set(type, format);
    return format;
  }
}

async function load(type: ContentType): Promise<Format> {
  if (type === "application/msgpack") return (await import("./msgpack.ts")).msgpackFormat;
  if (type === "application/protobuf") return (await import("./protobuf.ts")).protobufFormat;
  if (type === "application/avro") return (await import("./avro.ts")).avroFormat;
  return jsonFormat;
}
