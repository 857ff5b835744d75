// What a topic is about, as clients get it.

/** An item as clients get it; equal to itself after a round trip through JSON. */
export type Item = Readonly<Record<string, unknown>>;

/** Items of a large answer: read one by one while it is written. */
export class LazyItems {
  constructor(readonly items: Iterable<Item>) {}
}

/** One page of a list; a large one is read while it is written. */
export interface ItemPage {
  readonly items: readonly Item[] | LazyItems;
  /** The number of all items of the list. */
  readonly total: number;
}
