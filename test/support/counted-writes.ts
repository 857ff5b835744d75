// Counts what a socket of the server hands to the system: one for each frame, or one for all that were corked together.
import type { ServerWebSocket } from "bun";
import type { Peer } from "../../src/server/peer.ts";

export interface CountedWrites {
  /** Frames of each write, in order. */
  readonly writes: number[];
}

export function countWrites(peer: Peer): CountedWrites {
  const { socket } = peer as unknown as { readonly socket: ServerWebSocket };
  const writes: number[] = [];
  const send = socket.send.bind(socket);
  const cork = socket.cork.bind(socket);
  let corked: number | undefined;
  Object.assign(socket, {
    send: (...args: Parameters<typeof send>) => {
      if (corked === undefined) writes.push(1);
      else corked++;
      return send(...args);
    },
    cork: <T>(work: () => T): T => {
      corked = 0;
      try {
        return cork(work as never) as T;
      } finally {
        writes.push(corked);
        corked = undefined;
      }
    },
  });
  return { writes };
}
