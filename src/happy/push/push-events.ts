// What of the Happy protocol is pushed, in which message, and when it is held back (realtime contract 11).
import type { ExpoMessage } from "../../push/channels/expo.ts";
import { type Push, Pusher, type PusherParts } from "../../push/pusher.ts";
import type { Phone } from "./ledger.ts";

export const PUSH_KINDS = ["done", "permission", "question"] as const;

export interface PushEvent {
  readonly account: string;
  readonly sessionId: string;
  readonly kind: (typeof PUSH_KINDS)[number];
  readonly title: string;
  readonly body: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export type HappyPusher = Pusher<string, ExpoMessage, Phone>;

export interface HappyPusherParts
  extends Omit<PusherParts<string, ExpoMessage, Phone>, "holdBack" | "deadlineMs"> {
  /** Whether a person of this account has an app open in front. */
  readonly isLooking: (account: string) => boolean;
  readonly deadlineMs?: number;
}

/** The CLI waits 15 s for the answer. */
const DEADLINE_MS = 8_000;

export function happyPusher({
  isLooking,
  deadlineMs = DEADLINE_MS,
  ...parts
}: HappyPusherParts): HappyPusher {
  const holdBack = ({ owner }: Push<ExpoMessage>) => (isLooking(owner) ? "active-ui-client" : undefined);
  return new Pusher({ ...parts, deadlineMs, holdBack });
}

/** The client's data may name another session, never another kind. */
export function pushOf({ account, sessionId, kind, title, body, data }: PushEvent): Push<ExpoMessage> {
  return {
    owner: account,
    subject: sessionId,
    kind,
    message: {
      title,
      body,
      data: { sessionId, ...data, kind },
      sound: "default",
      channelId: "messages",
    },
    event: [account, sessionId, kind, title, body, data],
  };
}
