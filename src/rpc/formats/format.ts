// One format of bodies (contract 11.4). A decoded message has the same fields in every format; what a format cannot say is told by its file.
import type { ContentType } from "../document/document.ts";
import type { RpcResponse } from "../wire/response.ts";

/** Hears how many bytes a message will take beside those that it came in, before it is made. @throws what there is no room for */
export type Claim = (bytes: number) => void;

/** Nobody counts. */
export const UNCLAIMED: Claim = () => {};

export interface Format {
  readonly contentType: ContentType;
  /** @throws RpcError 1003 for bytes that are none of this format, within the nesting that is allowed; 2004; what `claim` throws */
  decode(bytes: Uint8Array, claim?: Claim): unknown;
  encode(response: RpcResponse): string | Uint8Array<ArrayBuffer>;
}

/** Contract 3.6. */
export const MAX_NESTING = 64;
