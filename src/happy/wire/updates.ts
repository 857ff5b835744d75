// Rows -> bodies on the wire, pure (realtime contract 5, 7 and 8). Absent parts are omitted, never null.

import type { RawText } from "../../http/large-json.ts";
import { randomAlphanumeric } from "../../storage/ids.ts";
import { StoredValue } from "../../storage/stored-value.ts";
import type { LightMachine, MachineRow } from "../store/machines.ts";
import type { CreatedMessage, MessageReceipt } from "../store/messages.ts";
import type { LightSession, SessionRow } from "../store/sessions.ts";
import { encode } from "./base64.ts";

/** The container of event `update`. */
export interface Update {
  readonly id: string;
  /** Number of the update within its account. */
  readonly seq: number;
  readonly body: UpdateBody;
  readonly createdAt: number;
}

export interface UpdateBody {
  readonly t: string;
  readonly [field: string]: unknown;
}

/** The argument of event `ephemeral`. */
export interface Ephemeral {
  readonly type: string;
  readonly [field: string]: unknown;
}

export function update(seq: number, body: UpdateBody, createdAt: number = Date.now()): Update {
  return { id: randomAlphanumeric(12), seq, body, createdAt };
}

/** A message as every reader gets it. */
export function messageBody({
  id,
  seq,
  content,
  localId,
  createdAt,
  updatedAt,
}: MessageReceipt & { readonly content: string | RawText | StoredValue }) {
  return { id, seq, content: { t: "encrypted", c: content }, localId, createdAt, updatedAt };
}

export const newMessage = (sid: string, row: CreatedMessage["row"]): UpdateBody => ({
  t: "new-message",
  sid,
  message: messageBody(row),
});

/** A session as HTTP and `new-session` give it. */
export function sessionBody(row: LightSession) {
  return {
    id: row.id,
    seq: row.seq,
    metadata: row.metadata,
    metadataVersion: row.metadataVersion,
    agentState: row.agentState,
    agentStateVersion: row.agentStateVersion,
    dataEncryptionKey: keyBody(row.dataEncryptionKey),
    active: row.active,
    activeAt: row.lastActiveAt,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

export const newSession = (row: SessionRow): UpdateBody => ({ t: "new-session", ...sessionBody(row) });

export const sessionMetadata = (id: string, value: string, version: number): UpdateBody => ({
  t: "update-session",
  id,
  metadata: { value, version },
});

export const sessionAgentState = (id: string, value: string | null, version: number): UpdateBody => ({
  t: "update-session",
  id,
  agentState: { value, version },
});

export const deletedSession = (sid: string): UpdateBody => ({ t: "delete-session", sid });

/** A machine without its seq, as `POST /v1/machines` gives it. */
export function machineBody(row: LightMachine) {
  return {
    id: row.id,
    metadata: row.metadata,
    metadataVersion: row.metadataVersion,
    daemonState: row.daemonState,
    daemonStateVersion: row.daemonStateVersion,
    dataEncryptionKey: keyBody(row.dataEncryptionKey),
    active: row.active,
    activeAt: row.lastActiveAt,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

export function newMachine(row: MachineRow): UpdateBody {
  const { id, ...rest } = machineBody(row);
  return { t: "new-machine", machineId: id, seq: row.seq, ...rest };
}

export const machineMetadata = (machineId: string, value: string, version: number): UpdateBody => ({
  t: "update-machine",
  machineId,
  metadata: { value, version },
});

export const machineDaemonState = (machineId: string, value: string, version: number): UpdateBody => ({
  t: "update-machine",
  machineId,
  daemonState: { value, version },
});

export const deletedMachine = (machineId: string): UpdateBody => ({ t: "delete-machine", machineId });

export const activity = (id: string, active: boolean, activeAt: number, thinking: boolean): Ephemeral => ({
  type: "activity",
  id,
  active,
  activeAt,
  thinking,
});

export const machineActivity = (id: string, active: boolean, activeAt: number): Ephemeral => ({
  type: "machine-activity",
  id,
  active,
  activeAt,
});

export const sessionEvent = (
  sessionId: string,
  kind: string,
  title: string,
  body: string,
  timestamp: number,
): Ephemeral => ({ type: "session-event", sessionId, kind, title, body, timestamp });

/** Bytes as padded base64; none and empty are null (HTTP contract 2.1). */
export function keyBody(bytes: Uint8Array | null): string | null {
  return bytes === null || bytes.length === 0 ? null : encode(bytes);
}

/** Bytes as padded base64, also where they are still in the database. */
export const base64Body = (bytes: Uint8Array | StoredValue): string | StoredValue =>
  bytes instanceof StoredValue ? bytes : encode(bytes);
