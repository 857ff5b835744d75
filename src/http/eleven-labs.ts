// ElevenLabs as a service that several protocols speak to: the token that lets one person into one conversation with an agent.
import { z } from "zod";
import {
  callService,
  type ServiceAnswer,
  type ServiceCall,
  ServiceError,
  serviceUrl,
} from "./service-call.ts";

export interface ElevenLabs {
  readonly url: string;
  readonly apiKey: string;
}

/** What it said of itself; `status` is undefined where it answered something that cannot be used. */
export class ElevenLabsError extends ServiceError {
  constructor(
    message: string,
    readonly status?: number,
    /** Its own words for a person; they never hold the key. */
    readonly words?: string,
  ) {
    super(message);
  }
}

const MAX_WORDS = 200;
const refusal = z.object({ detail: z.object({ message: z.string().min(1) }) });
const token = z.object({ token: z.string().min(1) });

/** One request under its key. @throws ServiceError when it answers too much, the error of the network, or a TimeoutError. */
export function askElevenLabs(
  { url, apiKey }: ElevenLabs,
  path: string,
  query: Readonly<Record<string, string>> = {},
  call: ServiceCall = {},
): Promise<ServiceAnswer> {
  return callService(serviceUrl(url, path, query), {
    ...call,
    headers: { ...call.headers, "xi-api-key": apiKey },
  });
}

/** @throws ElevenLabsError when it is none of 2xx */
export function accepted(answer: ServiceAnswer, { apiKey }: Pick<ElevenLabs, "apiKey">): ServiceAnswer {
  if (answer.ok) return answer;
  const { status } = answer;
  const words = wordsOf(answer)?.replaceAll(apiKey, "…").slice(0, MAX_WORDS);
  throw new ElevenLabsError(`ElevenLabs answered ${status}`, status, words);
}

/**
 * @param user of whom ElevenLabs keeps the account, where it is asked to
 * @throws ElevenLabsError when it gives none, or what `askElevenLabs` throws
 */
export async function conversationToken(service: ElevenLabs, agent: string, user?: string): Promise<string> {
  const answer = await askElevenLabs(service, "/v1/convai/conversation/token", {
    agent_id: agent,
    ...(user !== undefined && { participant_name: user }),
  });
  return accepted(answer, service).json(token).token;
}

function wordsOf(answer: ServiceAnswer): string | undefined {
  try {
    return answer.json(refusal).detail.message;
  } catch {
    return undefined;
  }
}
