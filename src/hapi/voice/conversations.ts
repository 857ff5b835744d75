// GET /api/voice/backend and /voices, POST /api/voice/token, /gemini-token, /qwen-token, /telemetry (HTTP contract, A9; hapi-probed, voice):
// which services a person can talk to, and what the web app needs to begin. Keys of Gemini and Qwen never reach a page: it speaks to a
// socket of ours (conversation-socket.ts).
import { Hono } from "hono";
import { z } from "zod";
import { clientUrl } from "../../http/client-url.ts";
import {
  accepted,
  askElevenLabs,
  conversationToken,
  type ElevenLabs,
  ElevenLabsError,
} from "../../http/eleven-labs.ts";
import type { HapiContext } from "../context.ts";
import { bodyOf } from "../http/kit/body.ts";
import type { ApiEnv } from "../http/kit/env.ts";
import { VoiceAgents } from "./agents.ts";
import { GEMINI_PATH, QWEN_PATH } from "./services.ts";
import type { Voice } from "./voice.ts";

const MAX_WORD = 256;
const MAX_LOGGED = 500;
const given = z
  .string()
  .trim()
  .max(MAX_WORD)
  .transform((text) => text || undefined)
  .optional();

/** Part of an address, in which these would name another one. */
const agent = given.refine((id) => id !== "." && id !== "..");

const tokenBody = z.object({ customAgentId: agent, customApiKey: given, voiceId: given, language: given });

const telemetryBody = z.object({
  stage: z
    .string()
    .min(1)
    .max(8 * MAX_LOGGED),
  message: z
    .string()
    .min(1)
    .max(32 * MAX_LOGGED),
  sessionId: z.string().optional(),
  voiceId: z.string().optional(),
  language: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

const voiceList = z.object({ voices: z.array(z.unknown()) });
const oneVoice = z.object({
  voice_id: z.string().min(1),
  name: z.string(),
  preview_url: z.string().optional().catch(undefined),
  category: z.string().optional().catch(undefined),
});

export function conversationRoutes({
  config,
  inEffect,
  voice,
  log,
}: Pick<HapiContext, "config" | "inEffect" | "log"> & { readonly voice: Voice }) {
  const agents = new VoiceAgents(log);
  const { credentials } = voice;
  const elevenLabs = (apiKey: string) => ({ url: config.hapiElevenlabsUrl, apiKey });
  /** Where a page of the client that asks finds one of our sockets. */
  const socketUrl = (request: Request, facts: ApiEnv["Bindings"], path: string): string => {
    const publicUrl = inEffect.publicUrl ?? config.publicUrl;
    return `${clientUrl(request, facts, { publicUrl, port: config.port }).replace(/^http/, "ws")}${path}`;
  };
  /** With the account's own agent; one that was deleted there since it was looked up is looked up once more. */
  const withOwn = async (service: ElevenLabs, voiceId: string | undefined) => {
    const agentId = await agents.own(service, voiceId);
    try {
      return { token: await conversationToken(service, agentId), agentId };
    } catch (error) {
      if (!(error instanceof ElevenLabsError) || error.status !== 404) throw error;
    }
    await agents.gone(service, voiceId, agentId);
    const again = await agents.own(service, voiceId);
    return { token: await conversationToken(service, again), agentId: again };
  };
  const withNamed = async (service: ElevenLabs, id: string) => {
    const agentId = await agents.named(service, id);
    return { token: await conversationToken(service, agentId), agentId };
  };
  return new Hono<ApiEnv>()
    .get("/api/voice/backend", (c) => c.json({ backend: voice.backend ?? null, backends: voice.backends }))
    .get("/api/voice/voices", async (c) => {
      const key = credentials.value("ELEVENLABS_API_KEY");
      if (key === undefined) return c.json({ voices: [] });
      try {
        const service = elevenLabs(key);
        const { voices } = accepted(await askElevenLabs(service, "/v1/voices"), service).json(voiceList);
        return c.json({ voices: voices.flatMap(voiceView) });
      } catch (error) {
        log.warn({ problem: problemOf(error) }, "the voices of ElevenLabs could not be listed");
        return c.json({ voices: [] });
      }
    })
    .post("/api/voice/token", async (c) => {
      const body = tokenBody.safeParse((await bodyOf(c)) ?? {});
      if (!body.success) return c.json({ allowed: false, error: "Invalid request body" }, 400);
      const { customAgentId, customApiKey, voiceId } = body.data;
      const key = customApiKey ?? credentials.value("ELEVENLABS_API_KEY");
      if (key === undefined)
        return c.json({ allowed: false, error: "ElevenLabs API key not configured" }, 400);
      const service = elevenLabs(key);
      const named = customAgentId ?? config.hapiElevenlabsAgent;
      try {
        const granted = await (named === undefined ? withOwn(service, voiceId) : withNamed(service, named));
        return c.json({ allowed: true, ...granted });
      } catch (error) {
        const problem = problemOf(error);
        log.warn({ problem }, "ElevenLabs gave no token for a conversation");
        return c.json({ allowed: false, error: problem }, 500);
      }
    })
    .post("/api/voice/gemini-token", (c) => {
      if (credentials.value("GEMINI_API_KEY") === undefined)
        return c.json(
          { allowed: false, error: "Gemini API key not configured (set GEMINI_API_KEY or GOOGLE_API_KEY)" },
          400,
        );
      return c.json({ allowed: true, apiKey: "proxied", wsUrl: socketUrl(c.req.raw, c.env, GEMINI_PATH) });
    })
    .post("/api/voice/qwen-token", (c) => {
      if (credentials.value("DASHSCOPE_API_KEY") === undefined)
        return c.json(
          {
            allowed: false,
            error: "DashScope API key not configured (set DASHSCOPE_API_KEY or QWEN_API_KEY)",
          },
          400,
        );
      return c.json({ allowed: true, wsUrl: socketUrl(c.req.raw, c.env, QWEN_PATH) });
    })
    .post("/api/voice/telemetry", async (c) => {
      const body = telemetryBody.safeParse(await bodyOf(c));
      if (!body.success) return c.json({ ok: false, error: "Invalid telemetry payload" }, 400);
      const { stage, message, sessionId, voiceId, language, details } = body.data;
      const cut = (text: string | undefined) => text?.slice(0, MAX_LOGGED);
      // What a page says of itself: for whoever looks for a fault, at the level at which they look.
      log.debug(
        {
          stage: cut(stage),
          said: cut(message),
          session: cut(sessionId),
          voice: cut(voiceId),
          language: cut(language),
          details: cut(details && JSON.stringify(details)),
        },
        "a page reports on its voice",
      );
      return c.json({ ok: true });
    });
}

function voiceView(each: unknown) {
  const { data } = oneVoice.safeParse(each);
  if (data === undefined) return [];
  const { voice_id: id, name, preview_url: previewUrl, category } = data;
  return [{ id, name, previewUrl, category }];
}

/** For a person; never the key, nor what came unasked. */
function problemOf(error: unknown): string {
  if (!(error instanceof ElevenLabsError)) return "ElevenLabs did not answer as it should";
  return error.words ?? `ElevenLabs API error: ${error.status}`;
}
