// All formats and compressions, each loaded when a body first asks for it.
import type { Compression, ContentType } from "../document/document.ts";
import type { RpcResponse } from "../wire/response.ts";
import { RpcError } from "../wire/rpc-error.ts";
import type { Format } from "./format.ts";
import { jsonFormat } from "./json.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export class Formats {
  readonly #loaded = new Map<ContentType, Format>([["application/json", jsonFormat]]);

  /** @throws RpcError 1003 */
  decode(bytes: Uint8Array, type: ContentType): unknown {
    const format = this.#loaded.get(type);
    return format === undefined
      ? this.#load(type).then((loaded) => loaded.decode(bytes))
      : format.decode(bytes);
  }

  encode(response: RpcResponse, type: ContentType): string | Bytes | Promise<string | Bytes> {
    const format = this.#loaded.get(type);
    return format === undefined
      ? this.#load(type).then((loaded) => loaded.encode(response))
      : format.encode(response);
  }

  /** @throws RpcError 1004 for a stream that is broken, 2004 above the limit */
  async expand(_bytes: Uint8Array, compression: Compression, _limitBytes: number): Promise<Uint8Array> {
    throw new RpcError(5001, { message: compression });
  }

  async compress(_bytes: Bytes, compression: Compression): Promise<Bytes> {
    throw new RpcError(5001, { message: compression });
  }

  async #load(type: ContentType): Promise<Format> {
    throw new RpcError(5001, { message: type });
  }
}
