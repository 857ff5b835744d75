// Answers that say `success: false` with a status of its own for each kind of refusal (HTTP contract, E1).
import type { RefusalCode, Result } from "../../hub/result.ts";
import { refused } from "../kit/granted.ts";

export type Softly = Partial<Readonly<Record<RefusalCode, number>>>;

export const NO_LIST: Softly = { unsupported: 400, invalid: 400, cli: 500 };

/** What a CLI answered, as it is; a refusal that is not among `softly` as everywhere else. */
export function softAnswer(result: Result<{ readonly answer: unknown }>, softly: Softly): Response {
  if (result.ok) return Response.json(result.answer ?? null);
  const status = softly[result.code];
  if (status === undefined) throw refused(result);
  return Response.json({ success: false, error: result.error }, { status });
}
