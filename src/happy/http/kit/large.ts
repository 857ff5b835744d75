// Answers that may be large: lists row by row, and single values piece by piece, as fast as the client takes them. Small ones are
// written at once, with their length.
import { listPieces } from "../../../http/json-list.ts";
import { jsonPieces, jsonWithGaps, ValueChanged } from "../../../storage/stored-value.ts";
import type { Listed } from "../../../storage/weighed-list.ts";
import type { HappyContext } from "../../context.ts";
import { json, jsonText } from "./endpoint.ts";

const HEADERS = { "content-type": "application/json; charset=utf-8" };

/** `{"<name>": [rows], ...rest}`, or only the rows without a name. */
export function jsonList<T>(
  context: Pick<HappyContext, "answers" | "log">,
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
  return streamed(context, listPieces(before, rows, body, after), status);
}

/** A body that may carry stored values. */
export function jsonLarge(
  context: Pick<HappyContext, "answers" | "log">,
  body: unknown,
  status = 200,
): Response {
  const gapped = jsonWithGaps(body);
  return gapped.values.length === 0
    ? jsonText(gapped.texts.join(""), status)
    : streamed(context, jsonPieces(gapped), status);
}

function streamed(
  { answers, log }: Pick<HappyContext, "answers" | "log">,
  pieces: Iterator<string | Uint8Array>,
  status: number,
): Response {
  const stream = answers.stream(pieces, (error) => {
    if (error instanceof ValueChanged) log.debug(error.message);
    else log.error({ err: error }, "an answer could not be written to its end");
  });
  return new Response(stream, { status, headers: HEADERS });
}
