// When the world outside first learned of each thing: the first call that put a byte of its acknowledgement, or of its announcement,
// on any socket.
import { markOf, STORES, type Store } from "./stores.ts";
import type { SystemCall } from "./system-calls.ts";

export interface Acknowledged {
  readonly store: Store;
  readonly mark: string;
  /** Place of that call's beginning; after it the bytes may be anywhere. */
  readonly at: number;
}

/** @throws Error when nothing was ever said of a mark: then the recording has missed something. */
export function acknowledgements(
  calls: readonly SystemCall[],
  counts: ReadonlyMap<Store, number>,
): Acknowledged[] {
  const sent = calls.filter(({ name, target }) => target.startsWith("TCP") && /^(send|write)/.test(name));
  const received = calls.filter(({ name, target }) => target.startsWith("TCP") && name.startsWith("recv"));
  return [...counts].flatMap(([store, count]) =>
    Array.from({ length: count }, (_, index) => {
      const mark = markOf(STORES.indexOf(store), index);
      const onWire = store.onWire?.(mark) ?? mark;
      const said = first(sent, onWire)?.began ?? Number.POSITIVE_INFINITY;
      const at = Math.min(said, answered(received, sent, onWire));
      if (at === Number.POSITIVE_INFINITY) throw new Error(`nothing was said of ${mark} (${store.name})`);
      return { store, mark, at };
    }),
  );
}

/** An answer that does not repeat the mark: the first bytes on the connection that has asked. */
function answered(received: readonly SystemCall[], sent: readonly SystemCall[], mark: string): number {
  const request = first(received, mark);
  const answer = sent.find(
    ({ target, began, result }) => target === request?.target && began > request.began && result > 0,
  );
  return answer?.began ?? Number.POSITIVE_INFINITY;
}

function first(calls: readonly SystemCall[], text: string): SystemCall | undefined {
  const bytes = Buffer.from(text);
  return calls.find(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(bytes));
}
