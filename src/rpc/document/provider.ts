// Where a part of the document comes from. A provider says what is written there now and tells of changes; it judges nothing: what it gave
// counts only when the whole document that it makes is right.

export interface Provider {
  /** For the person: a path, a place. */
  readonly name: string;
  /** Undefined: nothing is written there. @throws Error with a sentence where it cannot be read. */
  load(): Promise<unknown>;
  /** After `load`, until `close`. */
  watch(hooks: ProviderHooks): void;
  close(): void | Promise<void>;
}

export interface ProviderHooks {
  changed(given: unknown): void;
  /** What it gave last stays. Told once for each beginning of trouble. */
  failed(error: Error): void;
  /** It is there again, and what it says did not change. */
  recovered(): void;
}

/** Of one document, whoever sends it. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;
