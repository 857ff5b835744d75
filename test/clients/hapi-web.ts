// The web side of HAPI as a program: logs in, calls the API, listens to the event stream, opens terminals. What it hears it keeps in order,
// over every stream that it had.
import { io, type Socket } from "socket.io-client";
import { z } from "zod";
import { EventStream } from "../hapi/event-stream.ts";
import { at, type Json } from "../hapi/placeholders.ts";
import { until } from "../support/until.ts";
import { Recorder } from "./recorder.ts";
import { boundMs } from "./scene.ts";

type Row = { [key: string]: Json };
export type HubEvent = { [key: string]: Json };

export interface Line {
  readonly id: string;
  readonly seq: number;
  readonly localId: string | null;
  readonly from: "person" | "agent" | "event";
  readonly text: string;
}

/** A message without which the web app would show nothing: keys it reads must be there, further ones are ignored. */
const message = z.object({
  id: z.uuid(),
  seq: z.int().positive(),
  localId: z.string().nullable(),
  content: z.looseObject({ role: z.string(), content: z.looseObject({ type: z.string() }) }),
  createdAt: z.int(),
  invokedAt: z.int().nullable(),
});
const page = z.object({
  messages: z.array(message),
  page: z.object({
    nextBeforeSeq: z.int().nullable(),
    nextBeforeAt: z.int().nullable(),
    hasMore: z.boolean(),
  }),
});

export class HapiWeb {
  readonly events = new Recorder<HubEvent>();
  #stream: EventStream | undefined;
  #lastEventId: string | undefined;
  readonly #sockets: Socket[] = [];

  private constructor(
    readonly url: string,
    readonly jwt: string,
  ) {}

  static async logIn(url: string, accessToken: string): Promise<HapiWeb> {
    const response = await fetch(`${url}/api/auth`, {
      method: "POST",
      body: JSON.stringify({ accessToken }),
    });
    if (!response.ok) throw new Error(`The login was refused: ${response.status} ${await response.text()}`);
    const { token } = z.object({ token: z.string() }).parse(await response.json());
    return new HapiWeb(url, token);
  }

  /** Everything of the namespace, as a visible tab, from where the last stream ended. @returns what the hub says about the gap. */
  async listen(): Promise<string> {
    const headers: Record<string, string> =
      this.#lastEventId === undefined ? {} : { "last-event-id": this.#lastEventId };
    const { response, stream } = await EventStream.open(
      `${this.url}/api/events?all=true&visibility=visible&token=${this.jwt}`,
      headers,
    );
    if (!response.ok) throw new Error(`The stream was refused: ${response.status}`);
    this.#stream = stream;
    stream.frames.subscribe(({ says }) => {
      if (typeof says.id === "string") this.#lastEventId = says.id;
      this.events.push(says.data as HubEvent);
    });
    const first = await stream.frames.first("the first frame", 10_000, ({ says }) => says.data);
    return `${at(first, "data.resume")}`;
  }

  /** Waits until the hub ended the stream. */
  async deaf(): Promise<void> {
    await this.#stream?.ended.catch(() => {});
  }

  leave(): void {
    this.#stream?.close();
    for (const socket of this.#sockets) socket.close();
  }

  async call(method: string, path: string, body?: Json): Promise<{ status: number; body: Json }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.jwt}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") && text !== "";
    return { status: response.status, body: isJson ? (JSON.parse(text) as Json) : text };
  }

  /** The same, where anything but 200 is a failure. */
  async ask(method: string, path: string, body?: Json): Promise<Json> {
    const answer = await this.call(method, path, body);
    if (answer.status === 200) return answer.body;
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  async machine(id: string): Promise<Row | undefined> {
    return rows(await this.ask("GET", "/api/machines"), "machines").find((row) => row.id === id);
  }

  async summary(id: string): Promise<Row | undefined> {
    return rows(await this.ask("GET", "/api/sessions"), "sessions").find((row) => row.id === id);
  }

  async session(id: string): Promise<Row> {
    return at(await this.ask("GET", `/api/sessions/${id}`), "session") as Row;
  }

  /** The first event of the type, about this session or machine, that has something to `select`. */
  event<R>(
    what: string,
    boundMs: number,
    { type, about, from }: { type: string; about?: string; from: number },
    select: (event: HubEvent) => R | undefined,
  ): Promise<R> {
    const concerns = (event: HubEvent) =>
      event.type === type && (about === undefined || event.sessionId === about || event.machineId === about);
    return this.events.first(what, boundMs, (event) => (concerns(event) ? select(event) : undefined), from);
  }

  /** As the form for a new session does. @returns its id, once it is at work. */
  async spawn(on: { machineId: string; project: string }, agent: string): Promise<string> {
    const from = this.events.mark;
    const request = { directory: on.project, agent, yolo: false, sessionType: "simple" };
    const answer = await this.ask("POST", `/api/machines/${on.machineId}/spawn`, request);
    if (at(answer, "type") !== "success") throw new Error(`Not spawned: ${JSON.stringify(answer)}`);
    const session = `${at(answer, "sessionId")}`;
    await this.event("session-added", boundMs, { type: "session-added", about: session, from }, () => true);
    await until("an active session", async () => (await this.summary(session))?.active === true, boundMs);
    return session;
  }

  /** Says it and waits for the tiny agent's answer as the stream tells it. */
  async talk(session: string, text: string): Promise<void> {
    const from = this.events.mark;
    await this.say(session, text);
    await this.hear(session, `heard: ${text}`, boundMs, from);
  }

  /** @returns the message's own id at the sender. */
  async say(session: string, text: string): Promise<string> {
    const localId = crypto.randomUUID();
    await this.ask("POST", `/api/sessions/${session}/messages`, { text, localId });
    return localId;
  }

  /** Waits for the agent's words and the end of its turn, as the stream tells them. */
  async hear(session: string, words: string, boundMs: number, from: number): Promise<void> {
    let answered = false;
    await this.event(
      `"${words}" and the end of the turn`,
      boundMs,
      { type: "message-received", about: session, from },
      (event) => {
        const line = readLine(event.message ?? null);
        answered ||= line.from === "agent" && line.text.includes(words);
        return (answered && line.from === "event" && line.text === "ready") || undefined;
      },
    );
  }

  /** The whole history, page by page from its end as the app reads it. */
  async history(session: string): Promise<Line[]> {
    const lines = new Map<string, Line>();
    let cursor = "";
    for (;;) {
      const answer = page.parse(await this.ask("GET", `/api/sessions/${session}/messages?limit=20${cursor}`));
      for (const row of answer.messages) lines.set(row.id, readLine(row as Json));
      if (!answer.page.hasMore) return [...lines.values()].sort((a, b) => a.seq - b.seq);
      cursor = `&beforeAt=${answer.page.nextBeforeAt}&beforeSeq=${answer.page.nextBeforeSeq}`;
    }
  }

  /** A request of the agent that waits for a person. */
  async permissionAsked(
    session: string,
    boundMs: number,
    from: number,
  ): Promise<{ id: string; tool: string }> {
    return this.event(
      "a permission request",
      boundMs,
      { type: "session-updated", about: session, from },
      (event) => {
        const requests = at(event.data, "agentState.value.requests") ?? at(event.data, "agentState.requests");
        const [first] = Object.entries((requests ?? {}) as Row);
        return first === undefined ? undefined : { id: first[0], tool: `${at(first[1], "tool")}` };
      },
    );
  }

  /** As the terminal page does: polling first, then the upgrade. */
  async terminal(session: string): Promise<WebTerminal> {
    const socket = io(`${this.url}/terminal`, {
      auth: { token: this.jwt },
      forceNew: true,
      reconnection: false,
    });
    this.#sockets.push(socket);
    const terminal = new WebTerminal(socket, session);
    await terminal.open();
    return terminal;
  }
}

/** One terminal of a session, on a socket of its own. */
export class WebTerminal {
  readonly id: string;
  readonly events = new Recorder<{ event: string; payload: Row }>();

  constructor(
    readonly socket: Socket,
    readonly session: string,
  ) {
    this.id = `term-${session}-${crypto.randomUUID()}`;
    socket.onAny((event: string, payload: Row) => this.events.push({ event, payload }));
  }

  async open(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.socket.on("connect", resolve);
    this.socket.on("connect_error", reject);
    await promise;
    this.socket.emit("terminal:create", { sessionId: this.session, terminalId: this.id, cols: 80, rows: 24 });
    await this.first("terminal:ready");
  }

  write(data: string): void {
    this.socket.emit("terminal:write", { terminalId: this.id, data });
  }

  resize(cols: number, rows: number): void {
    this.socket.emit("terminal:resize", { terminalId: this.id, cols, rows });
  }

  close(): void {
    this.socket.emit("terminal:close", { terminalId: this.id });
  }

  first(event: string, boundMs = 20_000): Promise<Row> {
    return this.events.first(event, boundMs, (heard) => (heard.event === event ? heard.payload : undefined));
  }

  /** Everything that the shell printed. */
  get printed(): string {
    const output = this.events.all.filter(({ event }) => event === "terminal:output");
    return Bun.stripANSI(output.map(({ payload }) => payload.data).join(""));
  }

  async prints(words: string, boundMs = 20_000): Promise<void> {
    await until(`"${words}" in the terminal`, () => this.printed.includes(words), boundMs);
  }
}

const rows = (body: Json, key: string) => at(body, key) as Row[];

/** Who said what: the agents' several ways to say it are one here. */
function readLine(row: Json): Line {
  const { id, seq, localId, content } = message.parse(row);
  const of = (path: string) => at(content as Json, path);
  const line = (from: Line["from"], text: unknown): Line => ({ id, seq, localId, from, text: `${text}` });
  if (content.role === "user") return line("person", of("content.text"));
  if (content.content.type === "event") return line("event", of("content.data.type"));
  if (content.content.type === "codex") return line("agent", of("content.data.message"));
  if (of("content.data.type") !== "assistant") return line("event", of("content.data.type"));
  const parts = of("content.data.message.content");
  return line("agent", Array.isArray(parts) ? parts.map((part) => at(part, "text") ?? "").join("") : parts);
}
