// The Happy protocol's word for each decision about a push: clients, the figures and the ledger know it by this (realtime contract 11.4).
import type { PushOutcome } from "../../push/decision.ts";
import type { PushOutcome as HappyOutcome } from "../store/push.ts";

const OUTCOMES: Readonly<Record<PushOutcome, HappyOutcome>> = {
  sent: "sent",
  partial: "partial",
  failed: "failed",
  "held-back": "suppressed",
  "no-devices": "no_tokens",
};
const DECIDED = new Map(
  Object.entries(OUTCOMES).map(([decided, outcome]) => [outcome, decided as PushOutcome]),
);

export const happyOutcome = (decided: PushOutcome): HappyOutcome => OUTCOMES[decided];

/** What was decided when this was kept. */
export const decidedOutcome = (outcome: HappyOutcome): PushOutcome => DECIDED.get(outcome) ?? "failed";
