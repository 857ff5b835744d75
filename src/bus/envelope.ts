// What stands in a bus value: a JSON envelope around the bytes of one frame, or, written by hand or by others, raw text
// (bus contract, section 11).
import { z } from "zod";

export type EnvelopeKind = "broadcast" | "unicast" | "room" | "custom";

/** Text frames are strings, binary frames are bytes. */
export type Payload = string | Uint8Array<ArrayBuffer>;

export interface MessageId {
  readonly nodeId: string;
  /** Nanoseconds since 1970, as text. */
  readonly timestamp: string;
  readonly sequence: number;
}

export interface Envelope {
  readonly id: MessageId;
  readonly kind: EnvelopeKind;
  readonly roomId?: string | undefined;
  /** Id of the client that does not hear it. */
  readonly exclude?: string | undefined;
  readonly payload: Payload;
  readonly sentAt: number;
}

const wire = z.object({
  v: z.literal(1),
  id: z.object({
    node_id: z.string().min(1),
    timestamp: z.union([z.string(), z.number()]).transform(String),
    sequence: z.int(),
  }),
  type: z.enum(["broadcast", "unicast", "room", "custom"]),
  room_id: z.string().optional(),
  exclude: z.string().optional(),
  msg_type: z.union([z.literal(1), z.literal(2)]),
  enc: z.enum(["utf8", "base64"]),
  payload: z.string(),
  sent_at: z.number(),
});

export function encodeEnvelope({ id, kind, roomId, exclude, payload, sentAt }: Envelope): Buffer {
  const text = typeof payload === "string";
  const value: z.input<typeof wire> = {
    v: 1,
    id: { node_id: id.nodeId, timestamp: id.timestamp, sequence: id.sequence },
    type: kind,
    room_id: roomId,
    exclude: exclude || undefined,
    msg_type: text ? 1 : 2,
    enc: text ? "utf8" : "base64",
    payload: text ? payload : Buffer.from(payload).toString("base64"),
    sent_at: sentAt,
  };
  return Buffer.from(JSON.stringify(value));
}

/** Undefined for a value that is no envelope: it is raw text then. */
export function decodeEnvelope(text: string): Envelope | undefined {
  if (!text.startsWith("{")) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = wire.safeParse(json);
  if (!parsed.success) return undefined;
  const { id, type, room_id, exclude, msg_type, enc, payload, sent_at } = parsed.data;
  return {
    id: { nodeId: id.node_id, timestamp: id.timestamp, sequence: id.sequence },
    kind: type,
    roomId: room_id,
    exclude,
    payload: decodePayload(msg_type, enc, payload),
    sentAt: sent_at,
  };
}

function decodePayload(type: 1 | 2, encoding: "utf8" | "base64", payload: string): Payload {
  if (encoding === "utf8") return type === 1 ? payload : Buffer.from(payload);
  const bytes = Buffer.from(payload, "base64");
  return type === 1 ? bytes.toString() : bytes;
}
