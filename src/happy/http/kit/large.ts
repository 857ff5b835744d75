// Answers that may be large: lists row by row, and single values piece by piece, as fast as the client takes them. Small ones are
// written at once, with their length.
import { listPieces } from "../../../server/json-list.ts";
import { jsonPieces, jsonWithGaps, ValueChanged } from "../../../storage/stored-value.ts";
import type { Listed } from "../../../storage/weighed-list.ts";
import type { HappyRoom } from "../../room.ts";
import { json, jsonText } from "./endpoint.ts";

const HEADERS = { "content-type": "application/json; charset=utf-8" };

/** `{"<name>": [rows], ...rest}`, or only the rows without a name. */
export function jsonList<T>(
  room: Pick<HappyRoom, "answers" | "log">,
  name: string | undefined,
  { rows, isHeavy }: Pick<Listed<T>, "rows" | "isHeavy">,
  body: (row: T) => unknown,
  rest: Readonly<Record<string, unknown>> = {},
  status = 200,
): Response {
  if (!isHeavy) {
    const bodies = Array.from(rows, body);
    return json(name === undefined ? bodies : { [name]: bodies, ...rest }, status);
  }
  const before = name === undefined ? "" : `{${JSON.stringify(name)}:`;
  const more = JSON.stringify(rest).slice(1);
  const after = name === undefined ? "" : more === "}" ? more : `,${more}`;
  return streamed(room, listPieces(before, rows, body, after), status);
}

/** A body that may carry stored values. */
export function jsonLarge(room: Pick<HappyRoom, "answers" | "log">, body: unknown, status = 200): Response {
  const gapped = jsonWithGaps(body);
  return gapped.values.length === 0
    ? jsonText(gapped.texts.join(""), status)
    : streamed(room, jsonPieces(gapped), status);
}

function streamed(
  { answers, log }: Pick<HappyRoom, "answers" | "log">,
  pieces: Iterator<string | Uint8Array>,
  status: number,
): Response {
  const stream = answers.stream(pieces, (error) => {
    if (error instanceof ValueChanged) log.debug(error.message);
    else log.error({ err: error }, "an answer could not be written to its end");
  });
  return new Response(stream, { status, headers: HEADERS });
}
