// `machine-update-metadata` and `machine-update-state`: compare-and-swap of a machine's two encrypted parts (realtime contract 6.8, 6.9).
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { announceMachineChange } from "../../session-announcements.ts";
import { versionedAnswer } from "../../wire/versioned-answer.ts";
import type { Ack, SocketEvent } from "../connection.ts";

const metadataSchema = z.object({
  machineId: identifier.min(1),
  metadata: z.string(),
  expectedVersion: z.number(),
});
const stateSchema = z.object({
  machineId: identifier.min(1),
  daemonState: z.string(),
  expectedVersion: z.number(),
});

const failure = { result: "error", message: "Internal error" };

/** A payload that is no object at all is an internal error in the original; wrong fields are named. */
function refuse(payload: unknown, ack: Ack): void {
  const message = payload === null || payload === undefined ? "Internal error" : "Invalid parameters";
  ack({ result: "error", message });
}

export const machineUpdateMetadata: SocketEvent = {
  event: "machine-update-metadata",
  failure,
  handle: async ({ context, account }, payload, ack) => {
    const parsed = metadataSchema.safeParse(payload);
    if (!parsed.success) return refuse(payload, ack);
    const { machineId, metadata: value, expectedVersion } = parsed.data;
    const change = { metadata: { value, expectedVersion } };
    const result = await context.store.changeMachine(
      account,
      machineId,
      change,
      announceMachineChange(context, account, machineId, change),
    );
    if (result.kind === "missing") return ack({ result: "error", message: "Machine not found" });
    ack(versionedAnswer("metadata", change.metadata, result.kind === "mismatch" ? result.row : undefined));
  },
};

export const machineUpdateState: SocketEvent = {
  event: "machine-update-state",
  failure,
  handle: async ({ context, account }, payload, ack) => {
    const parsed = stateSchema.safeParse(payload);
    if (!parsed.success) return refuse(payload, ack);
    const { machineId, daemonState: value, expectedVersion } = parsed.data;
    const change = { daemonState: { value, expectedVersion } };
    const result = await context.store.changeMachine(
      account,
      machineId,
      change,
      announceMachineChange(context, account, machineId, change),
    );
    if (result.kind === "missing") return ack({ result: "error", message: "Machine not found" });
    ack(
      versionedAnswer("daemonState", change.daemonState, result.kind === "mismatch" ? result.row : undefined),
    );
  },
};
