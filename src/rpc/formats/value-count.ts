// How many values one message may hold, in every format, and what they take in memory: a body of a few KB expands to sixteen MiB of empty
// lists, and each of them becomes an object that is twenty times as large as its bytes. Counted before a decoder makes any of them.
import { endOfString, hasMoreBrackets } from "../../limits/json-depth.ts";
import { RpcError } from "../wire/rpc-error.ts";
import type { Claim } from "./format.ts";

/** A list or an object takes far more memory than a number or a short text. */
const OF_CONTAINER = 4;
export const MAX_WEIGHT = 1_000_000;
/** In memory, measured. */
const CONTAINER_BYTES = 72;
const VALUE_BYTES = 12;

const tooMany = () =>
  new RpcError(2004, {
    message: `the message has more than ${MAX_WEIGHT} values, of which a list or an object counts as ${OF_CONTAINER}`,
  });

export class ValueCount {
  #values = 0;
  #containers = 0;

  /** @throws RpcError 2004 */
  value(count = 1): void {
    this.#values += count;
    this.#check();
  }

  /** @throws RpcError 2004 */
  container(): void {
    this.#containers++;
    this.#check();
  }

  /** What they take beside their bytes. */
  get bytes(): number {
    return this.#containers * CONTAINER_BYTES + this.#values * VALUE_BYTES;
  }

  #check(): void {
    if (this.#values + this.#containers * OF_CONTAINER > MAX_WEIGHT) throw tooMany();
  }
}

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
/** `[` and `{`, `]` and `}` differ in this bit only. */
const CURLY = 0x20;
const OPENS = 91 | CURLY;
const CLOSES = 93 | CURLY;
/** Of shorter text without many brackets nothing is worth counting. */
const SHORT = 64 * 1024;

/**
 * Of JSON text; of text that is none the answer means nothing: the parser refuses it. Tells `claim` what it takes.
 * @returns whether it is nested deeper than the limit. @throws RpcError 2004, and what `claim` throws
 */
export function weighJson(text: string, maxDepth: number, claim: Claim): boolean {
  if (text.length <= SHORT && !hasMoreBrackets(text, maxDepth)) return false;
  let values = 0;
  let containers = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      if (at < 0) break;
    } else if (code === COMMA || code === COLON) values++;
    else if ((code | CURLY) === OPENS) {
      containers++;
      if (++depth > maxDepth) return true;
    } else if ((code | CURLY) === CLOSES) depth--;
  }
  if (values + containers * OF_CONTAINER > MAX_WEIGHT) throw tooMany();
  claim(containers * CONTAINER_BYTES + values * VALUE_BYTES);
  return false;
}
