// ElevenLabs and RevenueCat as far as Roost talks to them, on one local port: they check keys and parameters, and a test says what they know.

export interface VoiceServices {
  readonly url: string;
  /** What was asked, as `METHOD path?query`, in order. */
  readonly asked: string[];
  /** Durations of the conversations that ElevenLabs knows, in seconds; null as it gives them for a running call. */
  durations: (number | null)[];
  /** Entitlements that RevenueCat knows. */
  entitlements: Record<string, { expires_date: string | null; grace_period_expires_date?: string | null }>;
  /** Room that the conversation token names. */
  room: string;
  /** Answers of these paths are this status instead. */
  readonly broken: Map<string, number>;
  stop(): Promise<void>;
}

export const ELEVEN_LABS_KEY = "eleven-key";
export const REVENUE_CAT_KEY = "revenue-key";

export function voiceServices(): VoiceServices {
  const asked: string[] = [];
  const broken = new Map<string, number>();
  const state = { durations: [] as VoiceServices["durations"], entitlements: {}, room: "room_conv_Abc123_x" };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const url = new URL(request.url);
      asked.push(`${request.method} ${url.pathname}${url.search}`);
      const status = broken.get(url.pathname);
      if (status !== undefined) return new Response("broken", { status });
      if (url.pathname.startsWith("/v1/subscribers/")) {
        if (request.headers.get("authorization") !== `Bearer ${REVENUE_CAT_KEY}`) return denied();
        return Response.json({
          request_date_ms: Date.now(),
          subscriber: { entitlements: state.entitlements, first_seen: "2025-01-01T00:00:00Z" },
        });
      }
      if (request.headers.get("xi-api-key") !== ELEVEN_LABS_KEY) return denied();
      if (url.pathname === "/v1/convai/conversations") {
        const conversations = state.durations.map((seconds, index) => ({
          conversation_id: `conv_${index}`,
          call_duration_secs: seconds,
        }));
        return Response.json({ conversations, has_more: false, next_cursor: null });
      }
      if (url.pathname === "/v1/convai/conversation/token") {
        const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
        return Response.json({
          token: `${part({ alg: "HS256" })}.${part({ video: { room: state.room } })}.c2ln`,
        });
      }
      return new Response("unknown", { status: 404 });
    },
  });
  return Object.assign(state, {
    url: `http://127.0.0.1:${server.port}`,
    asked,
    broken,
    stop: () => server.stop(true),
  });
}

const denied = () => Response.json({ detail: { status: "invalid_api_key" } }, { status: 401 });
