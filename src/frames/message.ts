// The application message inside a text frame (frames contract 2.1): read leniently, written exactly. `ts` is epoch milliseconds.
import { z } from "zod";
import { isTooDeep } from "../limits/json-depth.ts";

export interface Message {
  readonly id: number;
  /** Empty when the client gave none: the id decides then. */
  readonly type: string;
  /** An empty object when absent or null. */
  readonly data: unknown;
}

export interface Reply {
  readonly message_id: number;
  readonly message_type: string;
  readonly data?: unknown;
  readonly ts: number;
}

export interface Unreadable {
  /** As much of its id as could be read. */
  readonly invalid: number;
  readonly tooDeep?: boolean;
}

const message = z
  .object({
    message_id: z.int().default(0),
    message_type: z.string().default(""),
    data: z.unknown().optional(),
    // The hub has no use for the sender's clock, but a text in its place is a malformed message.
    ts: z.number().nullish(),
    timestamp: z.number().nullish(),
  })
  .transform(
    ({ message_id, message_type, data }): Message => ({
      id: message_id,
      type: message_type,
      data: data ?? {},
    }),
  );

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The message, or as much of its id as could be read when it is none. Binary frames are UTF-8 JSON as well. What is nested too deeply
 * is not even parsed.
 */
export function readMessage(frame: string | Uint8Array): Message | Unreadable {
  let json: unknown;
  try {
    const text = typeof frame === "string" ? frame : utf8.decode(frame);
    if (isTooDeep(text)) return { invalid: 0, tooDeep: true };
    json = JSON.parse(text);
  } catch {
    return { invalid: 0 };
  }
  const parsed = message.safeParse(json);
  if (parsed.success) return parsed.data;
  const id = z.object({ message_id: z.int() }).safeParse(json);
  return { invalid: id.success ? id.data.message_id : 0 };
}

/** Members in the order of the contract; `data` is left out when undefined. */
export function writeMessage({ message_id, message_type, data, ts }: Reply): string {
  return JSON.stringify({ message_id, message_type, data, ts });
}

/** The error frame of contract 5.3: both ids are the offending message's. */
export function errorMessage(id: number, code: number, text: string, ts: number): string {
  return writeMessage({
    message_id: id,
    message_type: "error",
    data: { code, message: text, request_id: id },
    ts,
  });
}
