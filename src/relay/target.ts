// The side that answers a relayed call, and how a Socket.IO socket is one. An answer counts only as the acknowledgement of the socket
// that was asked.
import { REFUSED_ACK } from "../server/packet-gate.ts";

export interface RpcTarget {
  /** Of its socket. */
  readonly id: string;
  /** Asks and waits for the answer; rejects after `timeoutMs`, and with AnswerTooLarge. */
  request(method: string, params: unknown, timeoutMs: number): Promise<{ readonly result?: unknown }>;
}

/** The target answered with more than a call may carry. */
export class AnswerTooLarge extends Error {}

/** What a target needs of a Socket.IO socket. */
export interface AskedSocket {
  readonly id: string;
  timeout(ms: number): {
    emit(
      event: string,
      request: unknown,
      answered: (error: Error | null, ...answer: unknown[]) => void,
    ): unknown;
  };
}

/** Asks with `{method, params}` as the given event; parameters that are undefined are left out. */
export function socketTarget(socket: AskedSocket, event: string): RpcTarget {
  return {
    id: socket.id,
    request: (method, params, timeoutMs) =>
      new Promise((resolve, reject) => {
        const request = params === undefined ? { method } : { method, params };
        socket.timeout(timeoutMs).emit(event, request, (error, ...answer) => {
          if (error) reject(error);
          else if (answer[0] === REFUSED_ACK) reject(new AnswerTooLarge());
          // An acknowledgement without arguments has no result at all.
          else resolve(answer.length === 0 ? {} : { result: answer[0] });
        });
      }),
  };
}
