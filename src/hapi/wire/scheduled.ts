// Messages for later: what may be scheduled, and when one counts as due (hapi-http-sse C3).
import type { Attachment, DeliveryMode } from "./message.ts";

const AHEAD_MS = 7 * 24 * 60 * 60 * 1000;

export interface Scheduling {
  readonly scheduledAt?: number | null | undefined;
  readonly localId?: string | undefined;
  readonly attachments?: readonly Attachment[] | undefined;
  readonly deliveryMode?: DeliveryMode | undefined;
}

/** By the field at fault, for the `issues` of the answer; undefined when all is well. */
export function schedulingFaults(message: Scheduling, now: number): Record<string, string[]> | undefined {
  if (message.scheduledAt == null) return undefined;
  const faults: Record<string, string[]> = {};
  if (message.localId === undefined) faults.localId = ["A scheduled message needs a localId"];
  if (message.scheduledAt > now + AHEAD_MS)
    faults.scheduledAt = ["A message can be scheduled for 7 days ahead at most"];
  if (message.attachments !== undefined && message.attachments.length > 0) {
    faults.attachments = ["A scheduled message cannot have attachments"];
  }
  if (message.deliveryMode === "steer") faults.deliveryMode = ["A scheduled message cannot steer"];
  return Object.keys(faults).length === 0 ? undefined : faults;
}

/** One in the past is handed over at once, and its row says when it was meant for. */
export const isForLater = (scheduledAt: number | null | undefined, now: number): boolean =>
  scheduledAt != null && scheduledAt > now;
