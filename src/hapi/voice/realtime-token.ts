// A token with which a page may send what is said to a service by itself, for about a minute (hapi-probed, voice). The key stays here.
import { z } from "zod";
import { callService, type ServiceCall, serviceUrl } from "../../http/service-call.ts";
import type { Credentials } from "./credentials.ts";
import type { Provider } from "./services.ts";
import { type ProviderConfig, ProviderFailure } from "./transcribe.ts";

export interface RealtimeTokenParts {
  readonly config: ProviderConfig;
  readonly credentials: Pick<Credentials, "value">;
}

const SECONDS = 60;
const tokens = z.object({
  value: z.string().min(1).optional().catch(undefined),
  token: z.string().min(1).optional().catch(undefined),
  access_token: z.string().min(1).optional().catch(undefined),
});

/** @throws ProviderFailure */
export async function realtimeToken(
  { id }: Pick<Provider, "id">,
  language: string | undefined,
  parts: RealtimeTokenParts,
): Promise<string> {
  const what = `${id} realtime transcription`;
  const { url, ...call } = questionOf(id, language, parts);
  let found: z.output<typeof tokens>;
  try {
    const answer = await callService(url, { method: "POST", ...call });
    if (!answer.ok) throw new ProviderFailure(`${what} token failed (HTTP ${answer.status})`);
    found = answer.json(tokens);
  } catch (error) {
    if (error instanceof ProviderFailure) throw error;
    throw new ProviderFailure(`${what} token request failed`);
  }
  const { value, token, access_token: accessToken } = found;
  const given = id === "openai" ? value : id === "deepgram" ? accessToken : token;
  if (given === undefined) throw new ProviderFailure(`${what} returned no token`);
  return given;
}

function questionOf(
  id: Provider["id"],
  language: string | undefined,
  { config, credentials }: RealtimeTokenParts,
): ServiceCall & { readonly url: string } {
  const key = (name: Parameters<Credentials["value"]>[0]) => credentials.value(name) ?? "";
  if (id === "elevenlabs")
    return {
      url: serviceUrl(config.hapiElevenlabsUrl, "/v1/single-use-token/realtime_scribe"),
      headers: { "xi-api-key": key("ELEVENLABS_API_KEY") },
    };
  if (id === "deepgram")
    return {
      url: serviceUrl(config.hapiDeepgramUrl, "/v1/auth/grant"),
      headers: { authorization: `Token ${key("DEEPGRAM_API_KEY")}` },
      json: {},
    };
  return {
    url: serviceUrl(config.hapiOpenaiUrl, "/v1/realtime/client_secrets"),
    headers: { authorization: `Bearer ${key("OPENAI_API_KEY")}` },
    json: {
      expires_after: { anchor: "created_at", seconds: SECONDS },
      session: {
        type: "transcription",
        audio: {
          input: {
            transcription: {
              model: "gpt-live-transcribe",
              delay: "low",
              ...(language !== undefined && { languages: [language] }),
            },
            turn_detection: null,
          },
        },
      },
    },
  };
}
