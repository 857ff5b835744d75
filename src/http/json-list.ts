// The JSON text of a long list, row by row.
import { jsonPieces, jsonWithGaps } from "../storage/stored-value.ts";

/** `before`, the rows as the elements of an array, and `after`. */
export async function* listPieces<T>(
  before: string,
  rows: Iterable<T> | AsyncIterable<T>,
  body: (row: T) => unknown,
  after: string,
): AsyncGenerator<string | Uint8Array> {
  let between = `${before}[`;
  for await (const row of rows) {
    yield between;
    yield* jsonPieces(jsonWithGaps(body(row)));
    between = ",";
  }
  // A list without rows has not begun yet.
  yield `${between === "," ? "" : between}]${after}`;
}
