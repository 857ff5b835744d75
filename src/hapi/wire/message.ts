// A message as clients see it, and what the hub writes for a web client (hapi-http-sse A6, hapi-socket 8 and 18.2).
import type { MessageReceipt, MessageRow, StoredJson } from "../store/rows.ts";
import { flavourOf } from "./flavours.ts";

export interface Attachment {
  readonly id: string;
  readonly filename: string;
  readonly mimeType: string;
  readonly size: number;
  readonly path: string;
  readonly previewUrl?: string | undefined;
}

export interface MessageView {
  readonly id: string;
  readonly seq: number;
  readonly localId: string | null;
  readonly content: unknown;
  readonly createdAt: number;
  readonly invokedAt: number | null;
  /** Absent in the event of a message that came from a CLI. */
  readonly scheduledAt?: number | null;
  readonly deliveryState?: "indeterminate";
}

/** One that a CLI is just giving to its agent is in doubt for everybody else: it may be taken, and is not handed out again. */
const isInDoubt = ({ deliveryState, invokedAt }: MessageReceipt): boolean =>
  deliveryState !== "queued" && invokedAt === null;

/** Of a page. */
export const messageView = (row: MessageRow): MessageView => ({
  id: row.id,
  seq: row.seq,
  localId: row.localId,
  content: row.content,
  createdAt: row.createdAt,
  invokedAt: row.invokedAt,
  scheduledAt: row.scheduledAt,
  ...(isInDoubt(row) ? ({ deliveryState: "indeterminate" } as const) : undefined),
});

/** The same as JSON, with its content as the text that is stored. Put together by hand: a page has two hundred of them. */
export function messageText(row: MessageRow): string {
  const { id, seq, localId, createdAt, invokedAt, scheduledAt, content } = row;
  const told = isInDoubt(row) ? ',"deliveryState":"indeterminate"' : "";
  return `{"id":${JSON.stringify(id)},"seq":${seq},"localId":${localId === null ? null : JSON.stringify(localId)},"createdAt":${createdAt},"invokedAt":${invokedAt},"scheduledAt":${scheduledAt}${told},"content":${content.text}}`;
}

/** A view as JSON. A stored content is there as text already, and costs ten times as much when it is asked for its value. */
export function viewText(view: { readonly content?: unknown }): string {
  const { content, ...rest } = view;
  if (!isStored(content)) return JSON.stringify(view);
  return `${JSON.stringify(rest).slice(0, -1)},"content":${content.text}}`;
}

/** What a client sends has no functions. */
const isStored = (content: unknown): content is StoredJson =>
  typeof content === "object" &&
  content !== null &&
  "toJSON" in content &&
  typeof content.toJSON === "function";

/** Of the event about a message that a CLI sent. */
export function cliMessageView(row: MessageRow): MessageView {
  const { scheduledAt: _, ...view } = messageView(row);
  return view;
}

/** Who wrote a message that no CLI sent. */
export type Sender = "webapp" | "telegram-bot";
export type DeliveryMode = "queue" | "steer";

export interface WebMessage {
  readonly text: string;
  readonly attachments?: readonly Attachment[] | undefined;
  readonly deliveryMode?: DeliveryMode | undefined;
}

/** Only one agent takes a message into a turn that runs; for the others asking for it means to queue. */
export const deliveryModeFor = (metadata: unknown, asked: DeliveryMode | undefined): DeliveryMode =>
  asked === "steer" && flavourOf(metadata) === "pi" ? "steer" : "queue";

export const webContent = (
  { text, attachments }: WebMessage,
  sentFrom: Sender,
  deliveryMode: DeliveryMode,
): unknown => ({
  role: "user",
  content: {
    type: "text",
    text,
    ...(attachments === undefined ? undefined : { attachments }),
  },
  meta: { sentFrom, deliveryMode },
});
