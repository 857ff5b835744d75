// ElevenLabs, OpenAI, Deepgram, Groq, a service of one's own, Gemini and DashScope as far as voice speaks to them, on one local port: they
// check keys and parameters, keep what they were asked, and have bad days.
import { type AddressInfo, createServer } from "node:net";

export const KEYS = {
  elevenlabs: "elevenlabs-key-0001",
  openai: "openai-key-0002",
  deepgram: "deepgram-key-0003",
  groq: "groq-key-0004",
  own: "own-key-0005",
  gemini: "gemini-key-0006",
  qwen: "qwen-key-0007",
} as const;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Of a form: text fields, and files as `[name, type, size]`. */
  readonly body: unknown;
}

export interface BadDay {
  readonly status?: number;
  readonly body?: string;
  /** No answer at all. */
  readonly silent?: boolean;
}

export interface Talk {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly heard: unknown[];
  /** The same as they came. */
  readonly raw: string[];
  send(message: string | Uint8Array<ArrayBuffer>): void;
  close(code: number, reason: string): void;
  closed: number | undefined;
}

interface Data {
  talk?: Talk;
  readonly path: string;
  readonly query: Record<string, string>;
}

const HUGE = "x".repeat(3 * 1024 * 1024);

export class VoiceVendors {
  readonly asked: Asked[] = [];
  readonly talks: Talk[] = [];
  /** By path. */
  readonly bad = new Map<string, BadDay>();
  agents: { agent_id: string; name: string }[] = [];
  /** Agents that somebody has deleted at ElevenLabs. */
  readonly deleted = new Set<string>();
  /** Sockets are never told that they may begin. */
  deaf = false;
  readonly #server: ReturnType<typeof Bun.serve<Data>>;
  /** Drops the connection in the middle of every answer. */
  readonly #dropping = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"text":"he',
      );
      setImmediate(() => socket.destroy());
    });
  }).listen(0, "127.0.0.1");

  constructor() {
    this.#server = Bun.serve<Data>({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request, server) => this.#answer(request, server),
      websocket: {
        open: (socket) => {
          const talk: Talk = {
            path: socket.data.path,
            query: socket.data.query,
            heard: [],
            raw: [],
            send: (message) => void socket.send(message),
            close: (code, reason) => socket.close(code, reason),
            closed: undefined,
          };
          socket.data.talk = talk;
          this.talks.push(talk);
          if (talk.path === "/qwen" && !this.deaf)
            socket.send(JSON.stringify({ type: "session.created", session: { id: "s" } }));
        },
        message: (socket, message) => {
          const heard = JSON.parse(message.toString()) as Record<string, unknown>;
          socket.data.talk?.heard.push(heard);
          socket.data.talk?.raw.push(message.toString());
          if (this.deaf) return;
          // Gemini writes its JSON in binary frames.
          if ("setup" in heard) socket.send(Buffer.from(JSON.stringify({ setupComplete: {} })));
          else if (heard.type === "session.update") socket.send(JSON.stringify({ type: "session.updated" }));
        },
        close: (socket, code) => {
          if (socket.data.talk !== undefined) socket.data.talk.closed = code;
        },
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Of a service that drops every connection in the middle of its answer. */
  get droppingUrl(): string {
    return `http://127.0.0.1:${(this.#dropping.address() as AddressInfo).port}`;
  }

  get settings() {
    const socket = this.url.replace("http", "ws");
    return {
      hapiElevenlabsUrl: this.url,
      hapiOpenaiUrl: `${this.url}/`,
      hapiDeepgramUrl: this.url,
      hapiGroqUrl: this.url,
      hapiGeminiUrl: `${socket}/gemini`,
      hapiQwenUrl: `${socket}/qwen`,
    };
  }

  of(path: string): Asked[] {
    return this.asked.filter((each) => each.path === path);
  }

  reset(): void {
    this.asked.length = 0;
    this.talks.length = 0;
    this.bad.clear();
    this.agents = [];
    this.deleted.clear();
    this.deaf = false;
  }

  stop(): Promise<void> {
    this.#dropping.close();
    return this.#server.stop(true);
  }

  async #answer(request: Request, server: Bun.Server<Data>): Promise<Response | undefined> {
    const { pathname: path, searchParams } = new URL(request.url);
    const query = Object.fromEntries(searchParams);
    const bad = this.bad.get(path);
    if (request.headers.get("upgrade") === "websocket") {
      const isLetIn =
        path === "/gemini"
          ? query.key === KEYS.gemini
          : request.headers.get("authorization") === `Bearer ${KEYS.qwen}`;
      if (!isLetIn || bad !== undefined) return new Response("no", { status: 403 });
      return server.upgrade(request, { data: { path, query } })
        ? undefined
        : new Response("", { status: 400 });
    }
    this.asked.push({ method: request.method, path, query, body: await bodyOf(request) });
    if (bad?.silent === true) return await new Promise<Response>(() => {});
    if (bad !== undefined) return new Response(bad.body ?? "bad", { status: bad.status ?? 200 });
    if (!isKnown(request, path)) return Response.json({ detail: { message: "bad key" } }, { status: 401 });
    if (this.deleted.has(query.agent_id ?? ""))
      return Response.json({ detail: { message: "no such agent" } }, { status: 404 });
    return this.#service(request.method, path);
  }

  #service(method: string, path: string): Response {
    switch (path) {
      case "/v1/audio/transcriptions":
      case "/openai/v1/audio/transcriptions":
      case "/own/v1/audio/transcriptions":
        return Response.json({ text: `heard at ${path}`, usage: {} });
      case "/v1/speech-to-text":
        return Response.json({ text: "heard", language_code: "eng" });
      case "/v1/listen":
        return Response.json({ results: { channels: [{ alternatives: [{ transcript: "listened" }] }] } });
      case "/v1/realtime/client_secrets":
        return Response.json({ value: "ek_1", expires_at: 1 });
      case "/v1/single-use-token/realtime_scribe":
        return Response.json({ token: "sut_1" });
      case "/v1/auth/grant":
        return Response.json({ access_token: "grant_1", expires_in: 30 });
      case "/v1/voices":
        return Response.json({
          voices: [
            {
              voice_id: "v1",
              name: "Anna",
              category: "premade",
              preview_url: "https://p.example/1.mp3",
              more: 1,
            },
            { voice_id: "v2", name: "Ben" },
            { voice_id: 5, name: "of no id" },
          ],
        });
      case "/v1/convai/agents":
        return Response.json({ agents: this.agents, has_more: false });
      case "/v1/convai/agents/create":
        return Response.json({ agent_id: "made" });
      case "/v1/convai/conversation/token":
        return Response.json({ token: "conversation" });
      default:
        return method === "PATCH" ? Response.json({}) : new Response("unknown", { status: 404 });
    }
  }
}

/** Larger than any honest answer. */
export const HUGE_ANSWER: BadDay = { body: `{"text":"${HUGE}"}` };

function isKnown({ headers }: Request, path: string): boolean {
  const authorization = headers.get("authorization");
  if (path.startsWith("/own/")) return authorization === `Bearer ${KEYS.own}`;
  if (path.startsWith("/openai/")) return authorization === `Bearer ${KEYS.groq}`;
  if (path === "/v1/listen" || path === "/v1/auth/grant") return authorization === `Token ${KEYS.deepgram}`;
  if (path.startsWith("/v1/audio/") || path.startsWith("/v1/realtime/"))
    return authorization === `Bearer ${KEYS.openai}`;
  return headers.get("xi-api-key") === KEYS.elevenlabs;
}

async function bodyOf(request: Request): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (type.startsWith("multipart/form-data"))
    return [...(await request.formData())].map(([name, value]) =>
      typeof value === "string" ? [name, value] : [name, value.name, value.size],
    );
  if (type === "application/json") return await request.json();
  return { type, bytes: (await request.arrayBuffer()).byteLength };
}
