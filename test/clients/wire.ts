// What a Happy app demands of the server's answers and events, as schemas: keys it reads must be there, further ones are ignored
// (HTTP contract 16.4, realtime contract 13.2). What fails here would be dropped by a real phone.
import { z } from "zod";

const ms = z.int().nonnegative();
const version = z.int().nonnegative();
const versioned = z.object({ value: z.string(), version });
const versionedOrCleared = z.object({ value: z.string().nullable(), version });

export const sessionRow = z.object({
  id: z.string(),
  seq: z.int().nonnegative(),
  active: z.boolean(),
  activeAt: ms,
  createdAt: ms,
  updatedAt: ms,
  metadata: z.string(),
  metadataVersion: version,
  agentState: z.string().nullable(),
  agentStateVersion: version,
  dataEncryptionKey: z.string().nullable(),
});
export type SessionRow = z.infer<typeof sessionRow>;

export const machineRow = z.object({
  id: z.string(),
  seq: z.int().nonnegative(),
  active: z.boolean(),
  activeAt: ms,
  createdAt: ms,
  updatedAt: ms,
  metadata: z.string(),
  metadataVersion: version,
  daemonState: z.string().nullable(),
  daemonStateVersion: version,
  dataEncryptionKey: z.string().nullable(),
});
export type MachineRow = z.infer<typeof machineRow>;

export const messageRow = z.object({
  id: z.string(),
  seq: z.int().positive(),
  localId: z.string().nullable(),
  content: z.object({ t: z.literal("encrypted"), c: z.string() }),
  createdAt: ms,
  updatedAt: ms,
});
export type MessageRow = z.infer<typeof messageRow>;

export const answers = {
  token: z.object({ success: z.literal(true), token: z.string() }),
  pairingStatus: z.object({
    status: z.enum(["not_found", "pending", "authorized"]),
    supportsV2: z.boolean(),
  }),
  success: z.object({ success: z.literal(true) }),
  profile: z.object({ id: z.string(), timestamp: ms }),
  sessions: z.object({ sessions: z.array(sessionRow) }),
  machines: z.array(machineRow),
  messages: z.object({ messages: z.array(messageRow), hasMore: z.boolean() }),
  stored: z.object({ messages: z.array(messageRow.omit({ content: true })) }),
  upload: z.object({ ref: z.string(), uploadUrl: z.url(), method: z.literal("PUT") }),
  download: z.object({ downloadUrl: z.url() }),
} as const;

export const rpcAck = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true), result: z.string() }),
  z.object({ ok: z.literal(false), error: z.string() }),
]);

const bodies = {
  "new-message": z.object({ t: z.literal("new-message"), sid: z.string(), message: messageRow }),
  "new-session": sessionRow.extend({ t: z.literal("new-session") }),
  "update-session": z.object({
    t: z.literal("update-session"),
    id: z.string(),
    metadata: versioned.nullish(),
    agentState: versionedOrCleared.nullish(),
  }),
  "new-machine": machineRow.omit({ id: true }).extend({ t: z.literal("new-machine"), machineId: z.string() }),
  "update-machine": z.object({
    t: z.literal("update-machine"),
    machineId: z.string(),
    metadata: versioned.nullish(),
    daemonState: versioned.nullish(),
  }),
} as const;
type Bodies = { [K in keyof typeof bodies]: z.infer<(typeof bodies)[K]> };
/** A body that this phone reads, or one whose kind it only notes. */
export type UpdateBody = Bodies[keyof Bodies] | { t: "other"; kind: string; raw: unknown };
export type Update = { id: string; seq: number; createdAt: number; body: UpdateBody };

const container = z.object({
  id: z.string(),
  seq: z.int().positive(),
  createdAt: ms,
  body: z.looseObject({ t: z.string() }),
});

/** @throws z.ZodError when a real app would drop the event. */
export function parseUpdate(raw: unknown): Update {
  const { body, ...rest } = container.parse(raw);
  const known = Object.entries(bodies).find(([kind]) => kind === body.t)?.[1];
  return { ...rest, body: known?.parse(body) ?? { t: "other", kind: body.t, raw: body } };
}

const ephemeral = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("activity"),
    id: z.string(),
    active: z.boolean(),
    activeAt: ms,
    thinking: z.boolean(),
  }),
  z.object({ type: z.literal("machine-activity"), id: z.string(), active: z.boolean(), activeAt: ms }),
  z.object({ type: z.literal("usage"), id: z.string(), key: z.string(), timestamp: ms }),
  z.object({
    type: z.literal("session-event"),
    sessionId: z.string(),
    kind: z.enum(["done", "permission", "question"]),
    title: z.string(),
    body: z.string(),
    timestamp: ms,
  }),
]);
export type Ephemeral = z.infer<typeof ephemeral>;
export const parseEphemeral = (raw: unknown): Ephemeral => ephemeral.parse(raw);

const claims = z.looseObject({ sub: z.string() });

/** The claims of a token, read without verification, with the app's own limits: three parts, `atob` alphabet. */
export function tokenClaims(token: string): z.infer<typeof claims> {
  const parts = token.split(".");
  if (parts.length !== 3 || parts.some((part) => part === ""))
    throw new Error("The token has not three parts.");
  return claims.parse(JSON.parse(atob(parts[1] ?? "")));
}
