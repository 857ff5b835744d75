// How much voice an account may use in 30 days (HTTP contract 15.2, 15.3), pure: a free part, a subscriber's part, a number of talks.

const FREE_SECONDS = 1_200;
const HARD_SECONDS = 18_000;
export const CONVERSATION_LIMIT = 100;

export interface VoiceUsage {
  readonly usedSeconds: number;
  readonly conversationCount: number;
}

export type Verdict =
  | { readonly allowed: true; readonly limitSeconds: number }
  | { readonly allowed: false; readonly reason: string; readonly limitSeconds: number };

/** The limit that somebody with this usage runs into next. */
export const limitSeconds = ({ usedSeconds }: VoiceUsage): number =>
  usedSeconds >= FREE_SECONDS ? HARD_SECONDS : FREE_SECONDS;

/** `subscribed` is asked only when the answer depends on it. */
export async function judge(usage: VoiceUsage, subscribed: () => Promise<boolean>): Promise<Verdict> {
  const refused = (reason: string, limit: number): Verdict => ({
    allowed: false,
    reason,
    limitSeconds: limit,
  });
  if (usage.conversationCount >= CONVERSATION_LIMIT) {
    return refused("voice_conversation_limit_reached", HARD_SECONDS);
  }
  if (usage.usedSeconds >= HARD_SECONDS) return refused("voice_hard_limit_reached", HARD_SECONDS);
  if (usage.usedSeconds >= FREE_SECONDS && !(await subscribed())) {
    return refused("subscription_required", FREE_SECONDS);
  }
  return { allowed: true, limitSeconds: limitSeconds(usage) };
}
