// `update-metadata` and `update-state`: compare-and-swap of a session's two encrypted parts (realtime contract 6.3, 6.4).
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { announceSessionChange } from "../../session-announcements.ts";
import { versionedAnswer } from "../../wire/versioned-answer.ts";
import type { SocketEvent } from "../connection.ts";

const metadataSchema = z.object({
  sid: identifier.min(1),
  metadata: z.string(),
  expectedVersion: z.number(),
});
const stateSchema = z.object({
  sid: identifier,
  agentState: z.string().nullable(),
  expectedVersion: z.number(),
});

const failure = { result: "error" };

export const updateMetadata: SocketEvent = {
  event: "update-metadata",
  failure,
  handle: async ({ context, account, socket }, payload, ack) => {
    const parsed = metadataSchema.safeParse(payload);
    if (!parsed.success) return ack(failure);
    const { sid, metadata: value, expectedVersion } = parsed.data;
    const joinedSeq = context.presence.joinedSeq(account, sid, socket.id);
    const change = { metadata: { value, expectedVersion }, joinedSeq };
    const result = await context.store.changeSession(
      account,
      sid,
      change,
      announceSessionChange(context, account, sid, change),
    );
    if (result.kind === "missing") return ack(failure);
    ack(versionedAnswer("metadata", change.metadata, result.kind === "mismatch" ? result.row : undefined));
  },
};

export const updateState: SocketEvent = {
  event: "update-state",
  failure,
  handle: async ({ context, account }, payload, ack) => {
    const parsed = stateSchema.safeParse(payload);
    if (!parsed.success) return ack(failure);
    const { sid, agentState: value, expectedVersion } = parsed.data;
    const change = { agentState: { value, expectedVersion } };
    const result = await context.store.changeSession(
      account,
      sid,
      change,
      announceSessionChange(context, account, sid, change),
    );
    if (result.kind === "missing") return ack(failure);
    ack(
      versionedAnswer("agentState", change.agentState, result.kind === "mismatch" ? result.row : undefined),
    );
  },
};
