// The one shape of every answer: {code, message, data} (topics contract, section 2).
import { listPieces } from "../../http/json-list.ts";
import type { TopicsContext } from "../context.ts";
import { LazyItems } from "../item.ts";
import type { Problem } from "../problem.ts";

const HEADERS = { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" };

export function success(data: unknown, { answers, log }: Pick<TopicsContext, "answers" | "log">): Response {
  if (!isLazy(data))
    return new Response(JSON.stringify({ code: 0, message: "success", data }), { headers: HEADERS });
  const { items, ...rest } = data;
  const before = '{"code":0,"message":"success","data":{"items":';
  const pieces = listPieces(before, items.items, (item) => item, `,${JSON.stringify(rest).slice(1)}}`);
  const stream = answers.stream(pieces, (error) =>
    log.error({ err: error }, "an answer could not be written to its end"),
  );
  return new Response(stream, { headers: HEADERS });
}

/** A page whose items are read while it is written. It has further fields, such as its number. */
function isLazy(data: unknown): data is { items: LazyItems } & Readonly<Record<string, unknown>> {
  return typeof data === "object" && data !== null && "items" in data && data.items instanceof LazyItems;
}

export function failure({ code, message, status }: Problem): Response {
  return new Response(JSON.stringify({ code, message, data: null }), {
    status,
    headers: HEADERS,
  });
}
