// Voice: credentials for one conversation within the allowance, and the usage so far (HTTP contract 15.2, 15.3, alias of 17).
import { z } from "zod";
import { conversationToken } from "../../http/eleven-labs.ts";
import { identifier } from "../../limits/identifier.ts";
import type { HappyContext } from "../context.ts";
import { CONVERSATION_LIMIT, judge, limitSeconds } from "../voice/allowance.ts";
import { conversationOf, voiceUsage } from "../voice/eleven-labs.ts";
import { hasEntitlement } from "../voice/revenue-cat.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";

async function converse(context: HappyContext, account: string, agentId: string): Promise<Response> {
  const {
    happyElevenLabsUrl: elevenLabsUrl,
    happyElevenLabsApiKey: elevenLabsApiKey,
    happyRevenueCatUrl: revenueCatUrl,
    happyRevenueCatApiKey: revenueCatApiKey,
  } = context.config;
  if (elevenLabsApiKey === undefined) return refusal(500, "ELEVENLABS_API_KEY not configured");
  if (revenueCatApiKey === undefined) return refusal(500, "REVENUECAT_API_KEY not configured");
  const elevenLabs = { url: elevenLabsUrl, apiKey: elevenLabsApiKey };
  const elevenUserId = context.keys.voiceUser(account);
  const now = Date.now();
  const usage = await voiceUsage(elevenLabs, elevenUserId, now);
  const { usedSeconds } = usage;
  const verdict = await judge(usage, () =>
    hasEntitlement({ url: revenueCatUrl, apiKey: revenueCatApiKey }, account, now),
  );
  if (!verdict.allowed) return json({ ...verdict, usedSeconds, agentId });
  let token: string;
  try {
    token = await conversationToken(elevenLabs, agentId, elevenUserId);
  } catch (error) {
    context.log.warn({ err: error }, "ElevenLabs gave no conversation token");
    return refusal(500, "Failed to get voice credentials");
  }
  const conversationId = conversationOf(token);
  if (conversationId === undefined) return refusal(500, "Failed to get conversation ID");
  return json({
    allowed: true,
    conversationToken: token,
    conversationId,
    agentId,
    elevenUserId,
    usedSeconds,
    limitSeconds: verdict.limitSeconds,
  });
}

const conversation = (path: string) =>
  endpoint(
    { method: "POST", path, auth: "bearer", body: z.object({ agentId: identifier }), bareErrors: [500] },
    ({ context, account, body }) => converse(context, account, body.agentId),
  );

const usage = endpoint(
  {
    method: "GET",
    path: "/v1/voice/usage",
    auth: "bearer",
    failure: { error: "Failed to get voice usage" },
    bareErrors: [500],
  },
  async ({ context, account }) => {
    const { happyElevenLabsUrl: url, happyElevenLabsApiKey: apiKey } = context.config;
    if (apiKey === undefined) return refusal(500, "ELEVENLABS_API_KEY not configured");
    const elevenUserId = context.keys.voiceUser(account);
    const used = await voiceUsage({ url, apiKey }, elevenUserId, Date.now());
    return json({
      ...used,
      limitSeconds: limitSeconds(used),
      conversationLimit: CONVERSATION_LIMIT,
      elevenUserId,
    });
  },
);

export const voiceEndpoints: readonly Endpoint[] = [
  conversation("/v1/voice/conversations"),
  conversation("/v1/voice"),
  usage,
];
