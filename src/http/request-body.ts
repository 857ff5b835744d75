// How much of a request body is read, and for whom: who has proved an account may send what its protocol permits, a stranger little, in
// time, and nothing from an address that has cost too much. What is held is counted in the body budget until the answer is ready, and large
// bodies are handled in turn. A refusal is a code: its words are the protocol's.
import { type BodyBudget, type BodyShare, OverBudget } from "../limits/body-budget.ts";
import { isTooDeep } from "../limits/json-depth.ts";
import { LARGE_BODY_BYTES } from "../limits/large-bodies.ts";
import type { Limits } from "../limits/limits.ts";
import { releaseMemory } from "../limits/release-memory.ts";
import { GivenUp } from "../limits/strangers.ts";
import {
  BodyCutShort,
  BodyTooLarge,
  promisedBytes,
  readBody,
  readChunks,
  SILENCE_SECONDS,
  SMALL_BYTES,
} from "../server/body.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import { NotUtf8, parseLargeJson, TooDeeplyNested, TooMuchStructure } from "./large-json.ts";

/**
 * `busy`: other bodies fill the budget, or a large one waited too long for its turn. `too-much-work`: the stranger's address has cost too
 * much. `late`: a stranger's body did not arrive in time.
 */
export type BodyRefusal =
  | "too-large"
  | "cut-short"
  | "late"
  | "busy"
  | "too-much-work"
  | "not-utf8"
  | "not-json"
  | "too-deep";

export interface RefusalFacts {
  /** Of `too-large` while it was read. */
  readonly limitBytes?: number;
  /** Of `too-much-work`: until the address may send again. */
  readonly waitMs?: number;
  /** Of `not-json`: the parser's own words are its message. */
  readonly cause?: unknown;
}

export class BodyRefused extends Error {
  constructor(
    readonly code: BodyRefusal,
    readonly facts: RefusalFacts = {},
  ) {
    super(code, { cause: facts.cause });
  }
}

/** How one body may be read. */
export interface BodyBound {
  readonly limitBytes: number;
  readonly share: BodyShare;
  /** Hears of every piece of a body that is not small. */
  readonly arrived?: () => void;
}

/** A body as it came. */
export type RawBody = SmallBody | LargeBody;

export interface SmallBody {
  readonly bytes: Uint8Array;
}

/** In the pieces in which it came: putting them together would need the memory twice. */
export interface LargeBody {
  readonly chunks: readonly Uint8Array[];
  readonly length: number;
}

export const isLarge = (raw: RawBody): raw is LargeBody => "chunks" in raw;

export interface BodyParts {
  readonly limits: Pick<Limits, "bounds" | "largeBodies" | "strangers"> & {
    readonly bodies: Pick<BodyBudget, "share">;
  };
  /** Of an account's body, in bytes. These three are asked each time: they may change while the server runs. */
  readonly accountBytes: () => number;
  /** Of a stranger's body. */
  readonly strangerBytes: () => number;
  /** Whether an address that costs too much is refused. */
  readonly areStrangersLimited: () => boolean;
}

/** The body of one request, of a stranger until `authenticated`. Whoever makes one calls `release` when the request is answered. */
export class RequestBody {
  readonly share: BodyShare;
  #account: string | undefined;
  #large: LargeBody | undefined;
  #endTurn: (() => void) | undefined;

  constructor(
    private readonly request: Request,
    private readonly facts: RequestFacts,
    private readonly parts: BodyParts,
  ) {
    this.share = parts.limits.bodies.share(facts);
  }

  /** The sender has proved an account: neither it nor its address is a stranger's from here on. */
  authenticated(account: string): void {
    this.#account = account;
    this.facts.caller.authenticated(account);
    this.share.authenticated();
  }

  /** What the request has cost; an account is not charged. */
  charge(cost: { readonly bytes?: number; readonly workMs?: number }): void {
    if (this.#account === undefined) this.parts.limits.strangers.charge(this.facts.caller.address, cost);
  }

  /** Whether there is a body that was not begun to be read. */
  get isLeft(): boolean {
    return !this.request.bodyUsed && this.request.body !== null;
  }

  /**
   * What `reading` makes of the body within the sender's bound.
   * @throws BodyRefused: too-large, cut-short, late, busy, too-much-work; other errors of `reading` as they are.
   */
  async within<T>(reading: (bound: BodyBound) => Promise<T>): Promise<T> {
    const isAccount = this.#account !== undefined;
    const limitBytes = this.#limitBytes;
    const arrived = () => this.facts.extendIdle(SILENCE_SECONDS);
    const bound = { limitBytes, share: this.share, arrived };
    try {
      return await (isAccount ? reading(bound) : this.#ofStranger(() => reading(bound)));
    } catch (error) {
      throw bodyRefused(error, limitBytes);
    }
  }

  async #ofStranger<T>(reading: () => Promise<T>): Promise<T> {
    const waitMs = this.#waitMs();
    if (waitMs !== undefined) throw new BodyRefused("too-much-work", { waitMs });
    return this.parts.limits.strangers.patiently(this.facts.caller.address, reading());
  }

  /** Until the stranger's address may send again; undefined when it may now. */
  #waitMs(): number | undefined {
    const { limits, areStrangersLimited } = this.parts;
    return areStrangersLimited() ? limits.strangers.exceeded(this.facts.caller.address) : undefined;
  }

  get #limitBytes(): number {
    return this.#account === undefined ? this.parts.strangerBytes() : this.parts.accountBytes();
  }

  /** Resolves when a large body may be handled; its turn ends, and its memory is given back, with `release`. @throws BodyRefused busy */
  async inTurn(raw: LargeBody): Promise<void> {
    this.#large = raw;
    const owner = this.#account ?? this.facts.caller.address;
    try {
      this.#endTurn = await this.parts.limits.largeBodies.turn(owner, raw.length);
    } catch (error) {
      throw bodyRefused(error);
    }
  }

  /** The bytes as they came. @throws as `within` */
  read(): Promise<RawBody> {
    const promised = promisedBytes(this.request);
    if (promised <= SMALL_BYTES && !isChunked(this.request) && promised <= this.#limitBytes)
      return this.#readSmall(promised);
    return this.within(({ limitBytes, share, arrived }) => readRaw(this.request, limitBytes, share, arrived));
  }

  /** As `within` and `readRaw` would, in as few steps as it takes: most bodies are small. */
  #readSmall(promised: number): Promise<RawBody> {
    const { share } = this;
    const isAccount = this.#account !== undefined;
    const waitMs = isAccount ? undefined : this.#waitMs();
    if (waitMs !== undefined) return Promise.reject(new BodyRefused("too-much-work", { waitMs }));
    if (!share.expect(promised))
      return this.within(({ limitBytes, arrived }) => readRaw(this.request, limitBytes, share, arrived));
    const reading = this.request.bytes().then(
      (bytes) => {
        share.arrived(promised);
        try {
          share.take(bytes.byteLength);
        } catch (error) {
          throw bodyRefused(error);
        }
        return { bytes };
      },
      () => {
        share.arrived(promised);
        throw new BodyRefused("cut-short");
      },
    );
    return isAccount
      ? reading
      : this.parts.limits.strangers.patiently(this.facts.caller.address, reading, late);
  }

  /**
   * The body as JSON, whatever its type says; a large one in turn, and long texts under `rawTexts` of it as RawText.
   * @throws BodyRefused; also without a body: not-json
   */
  async json(rawTexts: readonly string[] = []): Promise<unknown> {
    const raw = await this.read();
    try {
      if (!isLarge(raw)) return this.#charged(raw, () => jsonOf(textOf(raw)));
      await this.inTurn(raw);
      return await largeJsonOf(raw, rawTexts);
    } catch (error) {
      if (error instanceof BodyRefused && error.code === "too-deep")
        this.parts.limits.bounds.refused("json-depth", { address: this.facts.clientAddress });
      throw error;
    }
  }

  #charged<T>({ bytes }: SmallBody, work: () => T): T {
    const startedAt = performance.now();
    try {
      return work();
    } finally {
      this.charge({ bytes: bytes.byteLength, workMs: performance.now() - startedAt });
    }
  }

  /** What was made of it counts elsewhere from now on. The turn of a large one goes on until `release`. */
  handOn(): void {
    for (const chunk of this.#large?.chunks ?? []) releaseMemory(chunk);
    this.#large = undefined;
    this.share.release();
  }

  /** Gives everything back: the answer is ready, or waits long for something else. */
  release(): void {
    this.handOn();
    this.#endTurn?.();
  }
}

const late = (): Error => new BodyRefused("late");

/** Its length is told by nothing but its end. */
export const isChunked = ({ headers }: Request): boolean => headers.has("transfer-encoding");

/** @throws BodyTooLarge, BodyCutShort, OverBudget */
export async function readRaw(
  request: Request,
  limitBytes: number,
  share: BodyShare,
  arrived?: () => void,
): Promise<RawBody> {
  if ((promisedBytes(request) <= LARGE_BODY_BYTES && !isChunked(request)) || request.body === null)
    return { bytes: await readBody(request, limitBytes, share, arrived) };
  const { chunks, length } = await readChunks(request, limitBytes, share, arrived);
  return length > LARGE_BODY_BYTES ? { chunks, length } : { bytes: Buffer.concat(chunks) };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** @throws BodyRefused not-utf8: read as something else, two different identifiers would be the same one (RFC 8259, 8.1). */
export function textOf({ bytes }: SmallBody): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new BodyRefused("not-utf8");
  }
}

/** @throws BodyRefused too-deep, not-json */
export function jsonOf(text: string): unknown {
  if (isTooDeep(text)) throw new BodyRefused("too-deep");
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new BodyRefused("not-json", { cause });
  }
}

/** Of a large body, which is used up. @throws BodyRefused too-deep, too-large (more structure than any client sends), not-utf8, not-json */
export async function largeJsonOf({ chunks }: LargeBody, rawTexts: readonly string[] = []): Promise<unknown> {
  try {
    return await parseLargeJson(chunks, new Set(rawTexts));
  } catch (cause) {
    if (cause instanceof TooDeeplyNested) throw new BodyRefused("too-deep");
    if (cause instanceof TooMuchStructure) throw new BodyRefused("too-large");
    if (cause instanceof NotUtf8) throw new BodyRefused("not-utf8");
    throw new BodyRefused("not-json", { cause });
  }
}

/** Errors of reading a body as a code; others stay what they are. */
export function bodyRefused(error: unknown, limitBytes?: number): unknown {
  if (error instanceof BodyTooLarge)
    return new BodyRefused("too-large", limitBytes === undefined ? {} : { limitBytes });
  if (error instanceof BodyCutShort) return new BodyRefused("cut-short");
  if (error instanceof GivenUp) return new BodyRefused("late");
  if (error instanceof OverBudget) return new BodyRefused("busy");
  return error;
}
