// What may be decided about a push, and how one decision comes of a verdict a device.
import type { Verdict } from "./channel.ts";

export type PushOutcome = "sent" | "partial" | "failed" | "held-back" | "no-devices";

/** What the caller is told, and what the ledger keeps. */
export interface PushDecision {
  readonly outcome: PushOutcome;
  readonly reason?: string | undefined;
  /** How many it was sent to. */
  readonly devices: number;
  readonly delivered: number;
}

export function decisionOf(verdicts: readonly Verdict[]): PushDecision {
  const reasons = verdicts.flatMap((verdict) => (verdict.ok ? [] : [verdict.reason]));
  const devices = verdicts.length;
  const delivered = devices - reasons.length;
  if (reasons.length === 0) return { outcome: "sent", devices, delivered };
  return { outcome: delivered === 0 ? "failed" : "partial", reason: reasons.join(", "), devices, delivered };
}

/** A decision by which no device was asked. */
export function decidedWithoutDevices(
  outcome: "failed" | "held-back" | "no-devices",
  reason?: string,
): PushDecision {
  return { outcome, ...(reason !== undefined && { reason }), devices: 0, delivered: 0 };
}
