// The side that answers a relayed call, and how a Socket.IO socket is one. An answer counts only as the acknowledgement of the socket
// that was asked.
import { JsonText } from "../server/json-text.ts";
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

/** Asks with `{method, params}` as the given event; parameters that are undefined are left out, and JSON text stays what it is. */
export function socketTarget(socket: AskedSocket, event: string): RpcTarget {
  return {
    id: socket.id,
    request: (method, params, timeoutMs) =>
      new Promise((resolve, reject) => {
        socket.timeout(timeoutMs).emit(event, requestOf(method, params), (error, ...answer) => {
          if (error) reject(error);
          else if (answer[0] === REFUSED_ACK) reject(new AnswerTooLarge());
          // An acknowledgement without arguments has no result at all.
          else resolve(answer.length === 0 ? {} : { result: answer[0] });
        });
      }),
  };
}

function requestOf(method: string, params: unknown): object {
  if (params === undefined) return { method };
  if (!(params instanceof JsonText)) return { method, params };
  const before = `{"method":${JSON.stringify(method)},"params":`;
  return new JsonText(`${before}${params.text}}`, Buffer.byteLength(before) + params.bytes + 1);
}
