// What is said about messages that were too large to be stored (HTTP contract, decision "Pages").
import type { HappyContext } from "./context.ts";
import type { Appended } from "./store/messages.ts";

/** The client is told that all is well, because it would repeat the batch for ever; the operator is told the truth. */
export function warnOfTooLarge(
  { bounds, sizes }: Pick<HappyContext, "bounds" | "sizes">,
  account: string,
  session: string,
  { tooLarge }: Pick<Appended, "tooLarge">,
): void {
  const limitBytes = sizes.limit("content");
  for (const { bytes } of tooLarge)
    bounds.refused("value-size", { account, session, value: "content", bytes, limitBytes });
}
