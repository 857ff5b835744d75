// Bounds the bytes of request bodies that are in memory at one time. What has arrived counts, never what was promised, so that slow
// clients keep nobody out; and whose sender is not known yet fills an eighth of it at most, each address a part of that.
import type { Addresses } from "./addresses.ts";
import type { Bounds } from "./bounds.ts";
import { networkOf } from "./network.ts";

/** Nothing of the body is kept; the client may come again. */
export class OverBudget extends Error {}

/** Of the whole budget, for all strangers together. */
const STRANGERS = 1 / 8;
/** Of that, for one unknown address. */
const ONE_ADDRESS = 1 / 16;
/**
 * Small bodies are read whole, which is fastest but hides what has arrived: so many bytes may be promised so at one time. What is
 * promised beyond is read piece by piece.
 */
const PROMISED_BYTES = 8 * 1024 * 1024;

export interface BodyShare {
  /** @throws OverBudget */
  take(bytes: number): void;
  /** Whether a body of so many bytes may be read whole, uncounted until it is here; then `arrived` follows, however it ended. */
  expect(bytes: number): boolean;
  arrived(bytes: number): void;
  /** The sender is known: what it holds counts among the accounts' from here on. */
  authenticated(): void;
  /** Gives everything back: the request is answered. */
  release(): void;
}

export interface BodyBudgetParts {
  /** Asked each time: it may change while the server runs. */
  readonly limitBytes: () => number;
  readonly addresses: Addresses;
  readonly bounds: Bounds;
}

export class BodyBudget {
  #held = 0;
  #promised = 0;
  #strangers = 0;
  readonly #networks = new Map<string, number>();

  constructor(private readonly parts: BodyBudgetParts) {}

  /** Bytes of all bodies. */
  get heldBytes(): number {
    return this.#held;
  }

  /** Those of senders that are not known. */
  get strangerBytes(): number {
    return this.#strangers;
  }

  /** The share of one request from that address, of a stranger until it says otherwise. */
  share(from: { readonly clientAddress: string }): BodyShare {
    return new Share(this, from);
  }

  /** Whether so much may be promised, too. */
  expect(bytes: number): boolean {
    if (this.#promised + bytes > PROMISED_BYTES) return false;
    this.#promised += bytes;
    return true;
  }

  arrived(bytes: number): void {
    this.#promised -= bytes;
  }

  /** `taken` is what the share has already. @throws OverBudget */
  take(bytes: number, taken: number, stranger: string | undefined): void {
    if (stranger !== undefined) this.#admitStranger(stranger, bytes);
    // One body alone may be larger than the limit: its own limit decides then.
    if (this.#held > taken && this.#held + bytes > this.parts.limitBytes())
      this.#refuse("bodies-in-flight", {});
    this.#held += bytes;
    if (stranger !== undefined) this.addStranger(stranger, bytes);
  }

  release(bytes: number, stranger: string | undefined): void {
    this.#held -= bytes;
    if (stranger !== undefined) this.addStranger(stranger, -bytes);
  }

  #admitStranger(address: string, bytes: number): void {
    const limit = this.parts.limitBytes() * STRANGERS;
    const own = Math.min(limit, this.parts.addresses.widened(limit * ONE_ADDRESS, address));
    const held = this.#networks.get(networkOf(address)) ?? 0;
    if (held + bytes > own) this.#refuse("anonymous-bytes", { address, limitBytes: own });
    if (this.#strangers + bytes > limit) this.#refuse("bodies-in-flight", { limitBytes: limit });
  }

  addStranger(address: string, bytes: number): void {
    if (bytes === 0) return;
    const network = networkOf(address);
    const held = (this.#networks.get(network) ?? 0) + bytes;
    this.#strangers += bytes;
    if (held > 0) this.#networks.set(network, held);
    else this.#networks.delete(network);
  }

  #refuse(bound: "anonymous-bytes" | "bodies-in-flight", facts: Record<string, string | number>): never {
    this.parts.bounds.refused(bound, facts);
    throw new OverBudget();
  }
}

class Share implements BodyShare {
  #taken = 0;
  #isStranger = true;
  #isReleased = false;

  constructor(
    private readonly budget: BodyBudget,
    private readonly from: { readonly clientAddress: string },
  ) {}

  take(bytes: number): void {
    // What comes after the answer is of no use.
    if (this.#isReleased) throw new OverBudget();
    this.budget.take(bytes, this.#taken, this.#stranger);
    this.#taken += bytes;
  }

  expect(bytes: number): boolean {
    return this.budget.expect(bytes);
  }

  arrived(bytes: number): void {
    this.budget.arrived(bytes);
  }

  authenticated(): void {
    if (this.#taken > 0 && this.#isStranger) this.budget.addStranger(this.from.clientAddress, -this.#taken);
    this.#isStranger = false;
  }

  release(): void {
    if (this.#taken > 0) this.budget.release(this.#taken, this.#stranger);
    this.#taken = 0;
    this.#isReleased = true;
  }

  get #stranger(): string | undefined {
    return this.#isStranger ? this.from.clientAddress : undefined;
  }
}
