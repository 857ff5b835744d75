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
  const marks = [...counts].flatMap(([store, count]) =>
    Array.from({ length: count }, (_, index) => {
      const mark = markOf(STORES.indexOf(store), index);
      return { store, mark, onWire: store.onWire?.(mark) ?? mark };
    }),
  );
  const texts = marks.map(({ onWire }) => onWire);
  const isOnWire = ({ target }: SystemCall) => target.startsWith("TCP");
  const sent = calls.filter((call) => isOnWire(call) && /^(send|write)/.test(call.name));
  const received = calls.filter((call) => isOnWire(call) && call.name.startsWith("recv"));
  const [said, asked] = [firstOfEach(sent, texts), firstOfEach(received, texts)];
  const sentTo = Map.groupBy(sent, ({ target }) => target);
  return marks.map(({ store, mark, onWire }) => {
    // An answer that does not repeat the mark: the first bytes on the connection that has asked.
    const request = asked.get(onWire);
    const answer = sentTo
      .get(request?.target ?? "")
      ?.find(({ began, result }) => began > (request?.began ?? 0) && result > 0);
    const places = [said.get(onWire)?.began, answer?.began].filter((place) => place !== undefined);
    if (places.length === 0) throw new Error(`nothing was said of ${mark} (${store.name})`);
    return { store, mark, at: Math.min(...places) };
  });
}

/** As much of a text as tells it from nearly all others. */
const HEAD = 15;
/** How marks begin, as they are and in base64. */
const BEGIN = /mark\d{4}x\d{6}|bWFya[A-Za-z0-9+/]{10}/g;

/** The first call that has each of the texts, all of which begin like a mark: one pass, however many they are. */
function firstOfEach(
  calls: readonly SystemCall[],
  texts: readonly string[],
): ReadonlyMap<string, SystemCall> {
  const byHead = Map.groupBy(texts, (text) => text.slice(0, HEAD));
  for (const head of byHead.keys())
    if (head.match(BEGIN)?.[0] !== head) throw new Error(`${head} does not begin like a mark`);
  const found = new Map<string, SystemCall>();
  for (const call of calls) {
    const { buffer, byteOffset, byteLength } = call.data;
    const data = Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
    for (const { 0: head, index } of data.matchAll(BEGIN))
      for (const text of byHead.get(head) ?? [])
        if (!found.has(text) && data.startsWith(text, index)) found.set(text, call);
  }
  return found;
}
