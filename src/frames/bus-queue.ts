// What leaves this node for the bus, in the order of the calls, within the hub's budget of memory. A message that must wait for a
// question (is the target anywhere?) holds back those behind it, so that none overtakes it on the way to the same client.
import type { BusNode, Outgoing } from "../bus/node.ts";
import type { QueueBudget } from "./queue-budget.ts";

/** Of a message that waits for the bus, beside its payload: its envelope, its timer, what waits for its end. */
const OVERHEAD = 1_024;

export class BusQueue {
  /** Resolves when everything before has been handed to the bus; undefined when nothing waits. */
  #tail: Promise<void> | undefined;

  /** `onFull` hears of a message that did not leave because too many wait. */
  constructor(
    private readonly node: BusNode,
    private readonly budget: QueueBudget,
    private readonly onFull: () => void,
  ) {}

  /** True when the bus took it. Handed to the bus before this returns, unless something waits. */
  publish(topic: string, message: Outgoing): Promise<boolean> {
    return this.#within(message, () =>
      this.#tail === undefined ? this.node.publish(topic, message) : this.#queue(topic, message, undefined),
    );
  }

  /** As `publish`, once `allowed` says so; false without publishing when it does not, or rejects. */
  publishIf(allowed: () => Promise<boolean>, topic: string, message: Outgoing): Promise<boolean> {
    return this.#within(message, () => this.#queue(topic, message, allowed()));
  }

  async #within({ payload }: Outgoing, work: () => Promise<boolean>): Promise<boolean> {
    const bytes = OVERHEAD + 2 * payload.length;
    if (!this.budget.reserve(bytes)) {
      this.onFull();
      return false;
    }
    try {
      return await work();
    } finally {
      this.budget.unreserve(bytes);
    }
  }

  #queue(topic: string, message: Outgoing, allowed: Promise<boolean> | undefined): Promise<boolean> {
    const before = this.#tail;
    const handed = Promise.withResolvers<void>();
    this.#tail = handed.promise;
    const leave = async (): Promise<boolean> => {
      const may = allowed === undefined || (await allowed.catch(() => false));
      await before;
      const publishing = may ? this.node.publish(topic, message) : false;
      if (this.#tail === handed.promise) this.#tail = undefined;
      handed.resolve();
      return await publishing;
    };
    return leave();
  }
}
