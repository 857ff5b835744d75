// Texts that are compared: ids, tags, keys, local ids, names. The database keeps UTF-8, where every lone surrogate becomes the same
// replacement character, so that two texts which differ here would be one there: a text that is not well-formed Unicode is refused at
// the door. Everything well-formed is kept apart as it is, NUL, spaces and unnormalized forms too. Contents are not identifiers.
import { z } from "zod";

/** Longest path parameter that a route takes, in UTF-16 units: what is later asked for by path may not be longer. */
export const MAX_PATH_LENGTH = 100;
/** UTF-8 bytes. Every identifier stands in an index, and clients use UUIDs. */
export const MAX_IDENTIFIER_BYTES = 16_384;

export const NOT_WELL_FORMED = "Invalid string: must be well-formed Unicode";

/** Whether a text can be an identifier. */
export function isIdentifier(text: string): boolean {
  return text.isWellFormed() && fits(text);
}

// A UTF-16 unit is one to three bytes.
const fits = (text: string) =>
  text.length * 3 <= MAX_IDENTIFIER_BYTES || Buffer.byteLength(text) <= MAX_IDENTIFIER_BYTES;

/** Any identifier, also an empty one. @example z.object({ localId: identifier.min(1) }) */
export const identifier = z.string().check(({ value, issues }) => {
  if (!value.isWellFormed())
    issues.push({ code: "custom", message: NOT_WELL_FORMED, input: value, continue: false });
  else if (!fits(value))
    issues.push({
      code: "too_big",
      origin: "string",
      maximum: MAX_IDENTIFIER_BYTES,
      inclusive: true,
      message: `Too big: expected string to have <=${MAX_IDENTIFIER_BYTES} bytes`,
      input: value,
    });
});

/** What no path can name: clients and servers take it for a step through folders, however it is escaped. */
const isPathStep = (text: string): boolean => text === "." || text === "..";
export const NO_PATH_STEP = 'Invalid string: must not be "." or ".."';

/** An identifier that is later a path parameter. zod's own `max` counts code points. */
export const pathIdentifier = identifier.check(({ value, issues }) => {
  if (isPathStep(value)) issues.push({ code: "custom", message: NO_PATH_STEP, input: value });
  else if (value.length > MAX_PATH_LENGTH)
    issues.push({
      code: "too_big",
      origin: "string",
      maximum: MAX_PATH_LENGTH,
      inclusive: true,
      input: value,
    });
});
