// `rpc-register`, `rpc-unregister`, `rpc-call`: the wire side of the relay (realtime contract 9). Params and results are opaque.
import type { Socket } from "socket.io";
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { REFUSED_ACK } from "../../../server/packet-gate.ts";
import type { SocketEvent } from "../connection.ts";
import { AnswerTooLarge, type RpcTarget } from "../rpc-relay.ts";

const named = z.object({ method: identifier.min(1) });
const call = z.object({ method: identifier.min(1), params: z.unknown().optional() });

export const rpcRegister: SocketEvent = {
  event: "rpc-register",
  handle: ({ context, account, socket }, payload) => {
    const parsed = named.safeParse(payload);
    if (!parsed.success || !context.rpc.register(account, parsed.data.method, target(socket))) {
      socket.emit("rpc-error", { type: "register", error: "Invalid method name" });
      return;
    }
    socket.emit("rpc-registered", { method: parsed.data.method });
  },
};

export const rpcUnregister: SocketEvent = {
  event: "rpc-unregister",
  handle: ({ context, account, socket }, payload) => {
    const parsed = named.safeParse(payload);
    if (!parsed.success) {
      socket.emit("rpc-error", { type: "unregister", error: "Invalid method name" });
      return;
    }
    context.rpc.unregister(account, parsed.data.method, socket.id);
    socket.emit("rpc-unregistered", { method: parsed.data.method });
  },
};

export const rpcCall: SocketEvent = {
  event: "rpc-call",
  failure: { ok: false, error: "Internal error" },
  admitsValues: true,
  handle: async ({ context, account, socket }, payload, ack) => {
    const parsed = call.safeParse(payload);
    if (!parsed.success) return ack({ ok: false, error: "Invalid parameters: method is required" });
    const { method, params } = parsed.data;
    const startedAt = performance.now();
    const answer = await context.rpc.call(account, socket.id, method, params);
    context.metrics.called(method, answer, performance.now() - startedAt);
    ack(answer);
  },
};

function target(socket: Socket): RpcTarget {
  return {
    id: socket.id,
    request: (method, params, timeoutMs) =>
      new Promise((resolve, reject) => {
        const request = params === undefined ? { method } : { method, params };
        socket
          .timeout(timeoutMs)
          .emit("rpc-request", request, (error: Error | null, ...answer: unknown[]) => {
            if (error) reject(error);
            else if (answer[0] === REFUSED_ACK) reject(new AnswerTooLarge());
            // An acknowledgement without arguments has no result at all.
            else resolve(answer.length === 0 ? {} : { result: answer[0] });
          });
      }),
  };
}
