// Answers that may be large, in the contract's shape: small ones with their length, large ones piece by piece.
import { listBody, type Pieces, piecesStream, valueBody } from "../../../http/large-answer.ts";
import type { Rows } from "../../../storage/weighed-list.ts";
import type { HappyContext } from "../../context.ts";
import { JSON_HEADERS, jsonText } from "./endpoint.ts";

type Parts = Pick<HappyContext, "answers" | "log">;

/** `{"<name>": [rows], ...rest}`, or only the rows without a name. */
export function jsonList<T>(
  context: Parts,
  name: string | undefined,
  listed: Rows<T>,
  body: (row: T) => unknown,
  rest: Readonly<Record<string, unknown>> = {},
  status = 200,
): Response {
  return answer(context, listBody(name, listed, body, rest), status);
}

/** A body that may carry stored values. */
export function jsonLarge(context: Parts, body: unknown, status = 200): Response {
  return answer(context, valueBody(body), status);
}

function answer(context: Parts, body: string | Pieces, status: number): Response {
  if (typeof body === "string") return jsonText(body, status);
  return new Response(piecesStream(context, body), { status, headers: JSON_HEADERS });
}
