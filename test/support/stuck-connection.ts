// A socket of a hub's client whose writes complete when the test says so: by `Client.drained`.
import type { Connection } from "../../src/frames/client.ts";

export interface StuckConnection {
  readonly connection: Connection;
  readonly sent: unknown[];
  readonly closes: [number, string][];
}

/** `queuedBytes`: what the socket says that it buffers. */
export function stuckConnection(queuedBytes = 0): StuckConnection {
  const sent: unknown[] = [];
  const closes: [number, string][] = [];
  const connection: Connection = {
    queuedBytes,
    send: (data) => {
      sent.push(data);
      return "waiting";
    },
    cork: (work) => work(),
    ping: () => {},
    close: (code, reason) => closes.push([code, reason]),
    closeWithin: (_, code, reason) => closes.push([code, reason]),
  };
  return { connection, sent, closes };
}
