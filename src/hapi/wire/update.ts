// The envelope in which CLI sockets are told of anything, and its bodies (hapi-socket 5, 18.2).
import type { MessageRow } from "../store/rows.ts";

export interface Versioned {
  readonly version: number;
  readonly value: unknown;
}

export interface MessageBody {
  readonly id: string;
  readonly seq: number;
  readonly createdAt: number;
  readonly localId: string | null;
  readonly content: unknown;
}

export type UpdateBody =
  | { readonly t: "new-message"; readonly sid: string; readonly message: MessageBody }
  | {
      readonly t: "update-session";
      readonly sid: string;
      readonly metadata: Versioned | null;
      readonly agentState: Versioned | null;
    }
  | {
      readonly t: "update-machine";
      readonly machineId: string;
      readonly metadata: Versioned | null;
      readonly runnerState: Versioned | null;
    }
  | {
      readonly t: "cancel-queued-message";
      readonly sid: string;
      readonly messageId: string;
      readonly localId?: string;
    }
  | {
      readonly t: "retry-queued-message";
      readonly sid: string;
      readonly messageId: string;
      readonly localId: string;
      readonly message: MessageBody;
    };

export interface UpdateEnvelope {
  readonly id: string;
  readonly seq: number;
  readonly createdAt: number;
  readonly body: UpdateBody;
}

const messageBody = ({ id, seq, createdAt, localId, content }: MessageRow): MessageBody => ({
  id,
  seq,
  createdAt,
  localId,
  content: content.value,
});

const newMessage = (sid: string, row: MessageRow): UpdateBody => ({
  t: "new-message",
  sid,
  message: messageBody(row),
});

/** Of a message that the web sent, also when it is sent again: its envelope is named for it, so that a CLI knows it again. */
export const webMessageUpdate = (sid: string, row: MessageRow): UpdateEnvelope => ({
  id: row.id,
  seq: row.seq,
  createdAt: row.createdAt,
  body: newMessage(sid, row),
});

/** Of a message that one CLI socket sent, for the others. */
export const cliMessageUpdate = (sid: string, row: MessageRow, now: number): UpdateEnvelope => ({
  id: crypto.randomUUID(),
  seq: row.seq,
  createdAt: now,
  body: newMessage(sid, row),
});

/** Its `seq` is a time and no counter. */
const change = (now: number, body: UpdateBody): UpdateEnvelope => ({
  id: crypto.randomUUID(),
  seq: now,
  createdAt: now,
  body,
});

export const sessionUpdate = (
  sid: string,
  part: "metadata" | "agentState",
  value: Versioned,
  now: number,
): UpdateEnvelope =>
  change(now, { t: "update-session", sid, metadata: null, agentState: null, [part]: value });

export const machineUpdate = (
  machineId: string,
  part: "metadata" | "runnerState",
  value: Versioned,
  now: number,
): UpdateEnvelope =>
  change(now, { t: "update-machine", machineId, metadata: null, runnerState: null, [part]: value });

/** Asks the CLI to give a message back; wants an acknowledgement. */
export const cancelUpdate = (
  sid: string,
  messageId: string,
  localId: string | null,
  now: number,
): UpdateEnvelope => ({
  id: crypto.randomUUID(),
  seq: 0,
  createdAt: now,
  body: { t: "cancel-queued-message", sid, messageId, ...(localId === null ? undefined : { localId }) },
});

/** Asks the CLI to take a message once more; wants an acknowledgement. */
export const retryUpdate = (
  sid: string,
  row: MessageRow & { localId: string },
  now: number,
): UpdateEnvelope => ({
  id: crypto.randomUUID(),
  seq: 0,
  createdAt: now,
  body: {
    t: "retry-queued-message",
    sid,
    messageId: row.id,
    localId: row.localId,
    message: messageBody(row),
  },
});
