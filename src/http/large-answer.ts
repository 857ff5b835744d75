// Answers that may be large: lists row by row, and single values piece by piece, as fast as the client takes them. Small ones are a
// text, which is written at once, with its length.
import type { Logger } from "pino";
import type { Answers } from "../limits/answers.ts";
import { jsonPieces, jsonWithGaps, ValueChanged } from "../storage/stored-value.ts";
import type { Rows } from "../storage/weighed-list.ts";
import { listPieces } from "./json-list.ts";

export type Pieces = AsyncIterator<string | Uint8Array>;

/** `{"<name>": [rows], ...rest}`, or only the rows without a name: as text, or as pieces where the rows are heavy. */
export function listBody<T>(
  name: string | undefined,
  listed: Rows<T>,
  body: (row: T) => unknown,
  rest: Readonly<Record<string, unknown>> = {},
): string | Pieces {
  if (!listed.isHeavy) {
    const bodies = Array.from(listed.rows, body);
    return JSON.stringify(name === undefined ? bodies : { [name]: bodies, ...rest });
  }
  const before = name === undefined ? "" : `{${JSON.stringify(name)}:`;
  const more = JSON.stringify(rest).slice(1);
  const after = name === undefined ? "" : more === "}" ? more : `,${more}`;
  return listPieces(before, listed.rows, body, after);
}

/** A body that may carry stored values: as text where it carries none. */
export function valueBody(body: unknown): string | Pieces {
  const gapped = jsonWithGaps(body);
  return gapped.values.length === 0 ? gapped.texts.join("") : jsonPieces(gapped);
}

/** The stream of an answer that is written piece by piece; what goes wrong on the way resets the connection and is in the log. */
export function piecesStream(
  { answers, log }: { readonly answers: Answers; readonly log: Logger },
  pieces: Pieces,
): ReadableStream<Uint8Array> {
  return answers.stream(pieces, (error) => {
    if (error instanceof ValueChanged) log.debug(error.message);
    else log.error({ err: error }, "an answer could not be written to its end");
  });
}
