// A list of messages as an answer: its contents as the texts that are stored, nothing of them parsed, and a heavy list piece by piece as
// its reader takes it.
import { type Pieces, piecesStream } from "../../../http/large-answer.ts";
import type { Rows } from "../../../storage/weighed-list.ts";
import type { HapiContext } from "../../context.ts";
import type { MessageRow } from "../../store/rows.ts";
import { messageText } from "../../wire/message.ts";

const HEADERS = { "content-type": "application/json" };

/** `{"messages": [...], ...rest}`; `isStream` is told of an answer that is not put together in memory. */
export function messageList(
  parts: Pick<HapiContext, "answers" | "log">,
  listed: Rows<MessageRow>,
  rest: Readonly<Record<string, unknown>>,
  isStream: () => void,
): Response {
  const more = JSON.stringify(rest).slice(1);
  const end = `]${more === "}" ? "" : ","}${more}`;
  if (!listed.isHeavy) {
    const text = `{"messages":[${listed.rows.map(messageText).join(",")}${end}`;
    return new Response(text, { headers: HEADERS });
  }
  isStream();
  return new Response(piecesStream(parts, piecesOf(listed.rows, end)), { headers: HEADERS });
}

async function* piecesOf(rows: AsyncIterable<MessageRow>, end: string): Pieces {
  let before = '{"messages":[';
  for await (const row of rows) {
    yield before;
    yield messageText(row);
    before = ",";
  }
  yield before === "," ? end : `${before}${end}`;
}
