// Where answers to idempotency keys are kept (contract 10.4). Each operation is atomic, and resolves when its effect outlives a crash of
// this process as far as the store promises that at all. Ids are hashes: no key of a client is stored.

/** A call before its handler runs. */
export interface NewCall {
  readonly id: string;
  /** Of its data. */
  readonly hash: string;
  /** Whose room it takes (store/shares.ts). */
  readonly holder: string;
  /** The method may run twice: a mark that nobody finished is taken over. */
  readonly isIdempotent: boolean;
  /** From now on, for a mark of a call that runs. */
  readonly ttlMs: number;
}

export type Begun =
  /** It is the caller's to run, and to settle. */
  | { readonly kind: "begun" }
  /** It runs in another process. */
  | { readonly kind: "running"; readonly hash: string }
  /** It was begun and never settled by whoever ran it: nobody knows whether it ran. */
  | { readonly kind: "unknown"; readonly hash: string }
  /** `answer` is undefined where it was too large to be kept. */
  | { readonly kind: "done"; readonly hash: string; readonly answer: string | undefined };

export interface CallBounds {
  readonly entries: number;
  readonly bytes: number;
}

export interface DoneCall {
  readonly id: string;
  readonly hash: string;
  readonly holder: string;
  /** Undefined: too large to be kept. */
  readonly answer: string | undefined;
  readonly ttlMs: number;
}

export interface CallStore {
  /** Puts a mark where nothing is. When there is no room, whoever holds the most gives what it has not used for the longest time; calls that
   * run never go.
   * @throws RpcError 5021 when there is no room, 6002 when the store is away */
  begin(call: NewCall): Promise<Begun>;
  complete(call: DoneCall): Promise<void>;
  /** An error: the key is free again. */
  release(id: string): Promise<void>;
  /** Removes what is over. */
  removeExpired(): Promise<number>;
  close(): Promise<void>;
}

/** What an entry takes beside its answer. */
export const ENTRY_BYTES = 256;

/** Text of an answer as it counts against the bound. */
export const bytesOf = (answer: string | undefined): number =>
  ENTRY_BYTES + (answer === undefined ? 0 : Buffer.byteLength(answer));
