// Bytes of requests that the room holds: bodies that are read, and what they expand to, until their answers are ready. Who calls is known
// only when its envelope was read, so nobody is a stranger here; instead the room has a part of the server's budget, and each network a part
// of that. Calls of one network never take the room of another one's, nor of other protocols' bodies. A body that is a network's only one
// may be as large as the document permits.
//
// What is large is expanded and read one after the other: what that needs beside the body itself is needed once.
import { type BodyShare, OverBudget } from "../../limits/body-budget.ts";
import type { Bounds } from "../../limits/bounds.ts";
import { LargeBodies } from "../../limits/large-bodies.ts";
import { networkOf } from "../../limits/network.ts";

/** Of the room's bytes, for one network. */
const ONE_NETWORK = 1 / 2;
/** Read whole, and so uncounted until they are here. */
const PROMISED_BYTES = 4 * 1024 * 1024;
/** Large ones of one network that wait for their turn. */
const MAX_TURNS = 8;
/** What a larger one left behind is collected before the next comes. */
const COLLECTED_BYTES = 8 * 1024 * 1024;
/** Far longer than any takes. */
const TURN_MS = 10_000;

export interface CallerBodiesParts {
  /** Asked each time. */
  readonly limitBytes: () => number;
  readonly bounds: Bounds;
  readonly large?: LargeBodies;
}

interface Network {
  bytes: number;
  turns: number;
}

export class CallerBodies {
  readonly #networks = new Map<string, Network>();
  readonly #large: LargeBodies;
  #held = 0;
  #promised = 0;

  constructor(private readonly parts: CallerBodiesParts) {
    this.#large = parts.large ?? new LargeBodies(TURN_MS);
  }

  get heldBytes(): number {
    return this.#held;
  }

  /** Those of which something is held. */
  get networks(): number {
    return this.#networks.size;
  }

  share({ clientAddress }: { readonly clientAddress: string }): BodyShare {
    const key = networkOf(clientAddress);
    let taken = 0;
    let isReleased = false;
    return {
      take: (bytes) => {
        if (isReleased) throw new OverBudget();
        this.#admit(key, bytes, taken, clientAddress);
        taken += bytes;
      },
      expect: (bytes) => {
        if (this.#promised + bytes > PROMISED_BYTES) return false;
        this.#promised += bytes;
        return true;
      },
      arrived: (bytes) => {
        this.#promised -= bytes;
      },
      authenticated: () => {},
      release: () => {
        isReleased = true;
        this.#change(key, { bytes: -taken });
        taken = 0;
      },
    };
  }

  /** Resolves when a large one may be expanded and read. @returns how to end the turn, with what it took. @throws OverBudget */
  async turn(address: string): Promise<(bytes: number) => void> {
    const key = networkOf(address);
    if ((this.#networks.get(key)?.turns ?? 0) >= MAX_TURNS) this.#refuse(address, MAX_TURNS);
    this.#change(key, { turns: 1 });
    try {
      const end = await this.#large.turn(key);
      return (bytes) => {
        if (bytes <= COLLECTED_BYTES) return end();
        setImmediate(() => {
          Bun.gc(true);
          end();
        });
      };
    } finally {
      this.#change(key, { turns: -1 });
    }
  }

  #admit(key: string, bytes: number, taken: number, address: string): void {
    const limit = this.parts.limitBytes();
    const held = this.#networks.get(key)?.bytes ?? 0;
    const own = limit * ONE_NETWORK;
    if (held > taken && held + bytes > own) this.#refuse(address, own);
    if (this.#held > taken && this.#held + bytes > limit) this.#refuse(address, limit);
    this.#change(key, { bytes });
  }

  #change(key: string, { bytes = 0, turns = 0 }: Partial<Network>): void {
    const network = this.#networks.get(key) ?? { bytes: 0, turns: 0 };
    network.bytes += bytes;
    network.turns += turns;
    this.#held += bytes;
    if (network.bytes <= 0 && network.turns <= 0) this.#networks.delete(key);
    else this.#networks.set(key, network);
  }

  #refuse(address: string, limit: number): never {
    this.parts.bounds.refused("rpc-bodies", { address, limit });
    throw new OverBudget();
  }
}
