// `rpc-register`, `rpc-unregister`, `rpc-call`: the wire side of the relay (realtime contract 9). Params and results are opaque.
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { socketTarget } from "../../../relay/target.ts";
import type { SocketEvent } from "../connection.ts";
import { rpcAnswer } from "../rpc.ts";

const named = z.object({ method: identifier.min(1) });
const call = z.object({ method: identifier.min(1), params: z.unknown().optional() });

export const rpcRegister: SocketEvent = {
  event: "rpc-register",
  handle: ({ context, account, socket }, payload) => {
    const parsed = named.safeParse(payload);
    const target = socketTarget(socket, "rpc-request");
    if (!parsed.success || !context.rpc.register(account, parsed.data.method, target)) {
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
    const outcome = await context.rpc.call({ owner: account, caller: socket.id, method, params });
    context.metrics.called(method, outcome, performance.now() - startedAt);
    ack(rpcAnswer(outcome));
  },
};
