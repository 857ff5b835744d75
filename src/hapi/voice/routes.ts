// All routes of voice (HTTP contract, A9 and C5), and its two sockets.
import { Hono } from "hono";
import type { SocketEndpoint } from "../../server/socket-endpoint.ts";
import type { HapiContext } from "../context.ts";
import type { ApiEnv } from "../http/kit/env.ts";
import { conversationEndpoints } from "./conversation-socket.ts";
import { conversationRoutes } from "./conversations.ts";
import { Credentials } from "./credentials.ts";
import { dictationRoutes } from "./dictation.ts";
import { backendProblem, Voice } from "./voice.ts";

export type VoiceContext = Pick<HapiContext, "config" | "inEffect" | "bounds" | "log" | "webTokens"> & {
  readonly home: Pick<HapiContext["home"], "folder">;
};

export interface VoiceParts {
  readonly routes: Hono<ApiEnv>;
  readonly sockets: readonly SocketEndpoint[];
}

/** @throws Error with a sentence when the home's settings cannot be read */
export function openVoice(context: VoiceContext): VoiceParts {
  const { config, home, log } = context;
  const problem = backendProblem(config.hapiVoiceBackend);
  if (problem !== undefined) log.warn(problem);
  const credentials = new Credentials(home.folder, config);
  if (credentials.isKeyWithoutAddress)
    log.warn(
      "hapiTranscriptionKey is sent to nobody: it goes to hapiTranscriptionUrl alone, which was not given",
    );
  const voice = new Voice(credentials, config);
  const parts = { ...context, voice };
  const routes = new Hono<ApiEnv>().route("/", conversationRoutes(parts)).route("/", dictationRoutes(parts));
  return { routes, sockets: conversationEndpoints(parts) };
}
