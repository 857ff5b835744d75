// `access-key-get`: the one thing about access keys that a socket may do (realtime contract 6.14).
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { accessKeyBody } from "../../wire/access-keys.ts";
import type { SocketEvent } from "../connection.ts";

const schema = z.object({ sessionId: identifier.min(1), machineId: identifier.min(1) });

const error = (text: string) => ({ ok: false, error: text });
const failure = error("Internal error");

export const accessKeyGet: SocketEvent = {
  event: "access-key-get",
  failure,
  handle: async ({ context, account }, payload, ack) => {
    if (payload === null || payload === undefined) return ack(failure);
    const parsed = schema.safeParse(payload);
    if (!parsed.success) return ack(error("Invalid parameters: sessionId and machineId are required"));
    const row = await context.store.findAccessKey(account, parsed.data);
    if (row === undefined) return ack(error("Session or machine not found"));
    ack({ ok: true, accessKey: row === null ? null : accessKeyBody(row) });
  },
};
