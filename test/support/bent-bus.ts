// A real bus with some operations replaced, for the faults that a healthy engine does not show.
import type { MessageBus } from "../../src/bus/message-bus.ts";

export function bentBus(bus: MessageBus, overrides: Partial<MessageBus>): MessageBus {
  return {
    engine: bus.engine,
    ready: bus.ready,
    connected: bus.connected,
    presence: bus.presence,
    publish: (...args) => bus.publish(...args),
    subscribe: (...args) => bus.subscribe(...args),
    unsubscribe: (...args) => bus.unsubscribe(...args),
    close: () => bus.close(),
    ...overrides,
  };
}
