// ElevenLabs, as far as an allowance needs it: an account's use in the last 30 days, and which conversation a token is for (HTTP contract
// 15.2).
import { z } from "zod";
import { askElevenLabs, type ElevenLabs } from "../../http/eleven-labs.ts";
import type { VoiceUsage } from "./allowance.ts";

const WINDOW_SECONDS = 30 * 24 * 60 * 60;

const conversations = z.object({
  conversations: z.array(z.object({ call_duration_secs: z.number().nullish() })).default([]),
});

/**
 * One page of 100 is enough: that many conversations are the limit. An answer that is not 2xx counts as no usage.
 * @throws ServiceError, or the error of the network.
 */
export async function voiceUsage(service: ElevenLabs, user: string, now: number): Promise<VoiceUsage> {
  const since = String(Math.floor(now / 1000) - WINDOW_SECONDS);
  const answer = await askElevenLabs(service, "/v1/convai/conversations", {
    user_id: user,
    created_after: since,
    // ElevenLabs documents the bound under this name; the original sends only the other.
    call_start_after_unix: since,
    page_size: "100",
  });
  if (!answer.ok) return { usedSeconds: 0, conversationCount: 0 };
  const list = answer.json(conversations).conversations;
  const usedSeconds = list.reduce((sum, { call_duration_secs: seconds }) => sum + (seconds ?? 0), 0);
  return { usedSeconds, conversationCount: list.length };
}

const claims = z.object({ video: z.object({ room: z.string() }) });

/** The conversation that a token is for, from its `video.room` claim; undefined when it names none. */
export function conversationOf(token: string): string | undefined {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    return /conv_[A-Za-z0-9]+/.exec(claims.safeParse(payload).data?.video.room ?? "")?.[0];
  } catch {
    return undefined;
  }
}
