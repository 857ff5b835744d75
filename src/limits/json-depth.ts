// JSON nested deeper than this is refused before anything walks it: whatever visits a value by recursion, or level by level, costs
// more with each level than its bytes tell (a frame of 100 KB, 50,000 levels deep, held the event loop for two seconds).

export const MAX_JSON_DEPTH = 256;

const QUOTE = 34;
const BACKSLASH = 92;
/** `[` and `{`, `]` and `}` differ in this bit only. */
const CURLY = 0x20;
const OPENS = 91 | CURLY;
const CLOSES = 93 | CURLY;

/**
 * Whether JSON text is nested deeper than the limit. Of text that is no JSON the answer means nothing: the parser refuses it.
 * Text with few brackets, such as one with large strings, is only searched for them.
 */
export function isTooDeep(text: string, limit: number = MAX_JSON_DEPTH): boolean {
  if (!hasMoreBrackets(text, limit)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      if (at < 0) return false;
      continue;
    }
    const bracket = code | CURLY;
    if (bracket === OPENS) {
      if (++depth > limit) return true;
    } else if (bracket === CLOSES) depth--;
  }
  return false;
}

/** As `isTooDeep`, for UTF-8: no byte of a longer character looks like a bracket or a quote. */
export function isTooDeepBytes(bytes: Uint8Array, limit: number = MAX_JSON_DEPTH): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return hasMoreBrackets(text, limit) && isTooDeep(text.toString("latin1"), limit);
}

/** More opening brackets than the limit, strings included: fewer cannot be nested deeper. */
export function hasMoreBrackets(text: string | Buffer, limit: number): boolean {
  let count = 0;
  for (const bracket of ["[", "{"])
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1))
      if (++count > limit) return true;
  return false;
}

/** Where the string that begins at `start` ends; -1 when it does not. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = end - 1;
    while (text.charCodeAt(escapes) === BACKSLASH) escapes--;
    if ((end - escapes) % 2 === 1) return end;
  }
  return -1;
}
