// The WebSockets /api/voice/gemini-ws and /qwen-ws (HTTP contract, C5): a page with a login has one conversation a socket, with the key
// that the owner has set. The login is in the address, since a browser sets no header for a socket.
import { bearerToken } from "../../auth/bearer.ts";
import type { Peer } from "../../server/peer.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { SocketEndpoint, Upgrader } from "../../server/socket-endpoint.ts";
import { accountOf, type WebClaims, webClaims } from "../auth/web-tokens.ts";
import type { HapiContext } from "../context.ts";
import { LANGUAGE } from "./assistant.ts";
import { AtOnce } from "./at-once.ts";
import { Conversation } from "./conversation.ts";
import { DIALECTS, type Dialect, type Wishes } from "./dialects.ts";
import { GEMINI_PATH } from "./services.ts";
import type { Voice } from "./voice.ts";

const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Speech of a minute; who does not read it does not listen. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;
const AT_ONCE = { all: 64, perNamespace: 8 };
const VOICE = /^[\w.-]{1,64}$/;

type EndpointParts = Pick<HapiContext, "config" | "webTokens" | "bounds" | "log"> & { readonly voice: Voice };

/** From the upgrade to the close. */
class Place {
  conversation: Conversation | undefined;
  constructor(
    readonly key: string,
    readonly wishes: Wishes,
    readonly leave: () => void,
  ) {}
}

export function conversationEndpoints(parts: EndpointParts): SocketEndpoint[] {
  const underWay = new AtOnce({ bounds: parts.bounds, name: "hapi-voice-conversations", ...AT_ONCE });
  return DIALECTS.map((dialect) => endpointOf(dialect, parts, underWay));
}

function endpointOf(dialect: Dialect, parts: EndpointParts, underWay: AtOnce): SocketEndpoint {
  const { config, webTokens, voice, log } = parts;
  const base = dialect.path === GEMINI_PATH ? config.hapiGeminiUrl : config.hapiQwenUrl;
  const peers = new Set<Peer>();
  return {
    path: dialect.path,
    limits: { maxMessageBytes: MAX_MESSAGE_BYTES, maxQueuedBytes: MAX_QUEUED_BYTES },
    handle: (request, upgrader, facts) => {
      facts.route = dialect.path;
      const query = new URL(request.url).searchParams;
      const claims = claimsIn(request, query, webTokens);
      if (typeof claims === "string") return plain(401, claims);
      const key = voice.credentials.value(dialect.credential);
      if (key === undefined) return plain(400, `${dialect.name} API key not configured`);
      const wishes = wishesIn(query);
      if (wishes === undefined) return plain(400, "Invalid voice or language");
      return upgraded(request, { upgrader, facts, claims, key, wishes });
    },
    open: (peer) => {
      const place = placeOf(peer);
      if (place === undefined) return;
      peers.add(peer);
      const { key, wishes } = place;
      place.conversation = new Conversation({ page: peer, dialect, base, key, wishes, log });
    },
    message: (peer, message) => placeOf(peer)?.conversation?.receive(message),
    close: (peer) => {
      const place = placeOf(peer);
      peers.delete(peer);
      place?.conversation?.ended();
      place?.leave();
    },
    shutdown: async () => {
      for (const peer of peers) peer.close(1001, "The server is restarting");
    },
  };

  function upgraded(request: Request, { upgrader, facts, claims, key, wishes }: Admitted): Response {
    if (request.method !== "GET" || request.headers.get("upgrade")?.toLowerCase() !== "websocket")
      return plain(426, "WebSocket upgrade failed", { upgrade: "websocket", connection: "Upgrade" });
    const leave = underWay.begin(claims.ns);
    if (leave === undefined) return plain(503, "Too many conversations at once", { "retry-after": "10" });
    facts.caller.authenticated(accountOf(claims));
    if (upgrader.upgrade(request, { data: new Place(key, wishes, leave) })) return new Response(null);
    leave();
    return plain(400, "WebSocket upgrade failed");
  }
}

interface Admitted {
  readonly upgrader: Upgrader;
  readonly facts: RequestFacts;
  readonly claims: WebClaims;
  readonly key: string;
  readonly wishes: Wishes;
}

const placeOf = ({ data }: Peer): Place | undefined => (data instanceof Place ? data : undefined);

/** Who asks, or why that is not known. */
function claimsIn(
  { headers }: Request,
  query: URLSearchParams,
  webTokens: HapiContext["webTokens"],
): WebClaims | string {
  const token = query.get("token") || bearerToken(headers.get("authorization"));
  if (!token) return "Missing authorization token";
  const payload = webTokens.verify(token);
  if (payload === undefined) return "Invalid token";
  return webClaims(payload) ?? "Invalid token payload";
}

function wishesIn(query: URLSearchParams): Wishes | undefined {
  const [voice, language] = [query.get("voice") || undefined, query.get("language") || undefined];
  if (voice !== undefined && !VOICE.test(voice)) return undefined;
  if (language !== undefined && !LANGUAGE.test(language)) return undefined;
  return { voice, language };
}

const plain = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(text, { status, headers: { "content-type": "text/plain; charset=UTF-8", ...headers } });
