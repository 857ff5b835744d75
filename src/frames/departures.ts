// What leaves this node for the bus, in the order of the calls. A message that must wait for a question (is the target anywhere?)
// holds back those behind it, so that none overtakes it on the way to the same client.
import type { BusNode, Outgoing } from "../bus/node.ts";

export class Departures {
  /** Resolves when everything before has been handed to the bus; undefined when nothing waits. */
  #tail: Promise<void> | undefined;

  constructor(private readonly node: BusNode) {}

  /** True when the bus took it. Handed to the bus before this returns, unless something waits. */
  publish(topic: string, message: Outgoing): Promise<boolean> {
    if (this.#tail === undefined) return this.node.publish(topic, message);
    return this.#queue(topic, message, undefined);
  }

  /** As `publish`, once `allowed` says so; false without publishing when it does not, or rejects. */
  publishIf(allowed: Promise<boolean>, topic: string, message: Outgoing): Promise<boolean> {
    return this.#queue(topic, message, allowed);
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
