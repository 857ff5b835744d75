// What waits for the next poll is bounded as a WebSocket's queue is: a client that polls no more is closed.
import type { Logger } from "pino";
import type { MemoryPieces } from "../limits/memory-pieces.ts";
import type { EngineConnection, EnginePacket } from "./engine-connection.ts";
import type { PacketGate } from "./packet-gate.ts";

export interface PollingQueueParts {
  readonly connection: EngineConnection;
  readonly gate: PacketGate;
  /** What waits for all sockets together. */
  readonly queues: MemoryPieces;
  readonly path: string;
  readonly log: Logger;
}

export function boundPolling({ connection, gate, queues, path, log }: PollingQueueParts): void {
  // A WebSocket looks after its own.
  if (connection.transport.name !== "polling") return;
  let queuedBytes = 0;
  const forget = () => {
    queuedBytes = 0;
    queues.forget(connection);
  };
  const giveUp = (problem: string) => {
    const limitBytes = gate.limits.maxQueuedBytes;
    log.warn({ path, queuedBytes, limitBytes }, `${problem}; it was closed and may reconnect`);
    forget();
    gate.drop();
  };
  connection.on("flush", () => {
    if (queuedBytes > 0) forget();
  });
  connection.once("close", forget);
  const created = ({ data }: EnginePacket) => {
    // One packet alone may be larger than the limit.
    if (queuedBytes > gate.limits.maxQueuedBytes) return giveUp("a client does not poll: its queue is full");
    queuedBytes += typeof data === "string" ? data.length : (data?.byteLength ?? 0);
    if (queuedBytes > 0) queues.set(connection, queuedBytes, () => giveUp("all queues together are full"));
  };
  connection.on("packetCreate", created);
  connection.on("upgrade", () => connection.off("packetCreate", created));
}
