// A Roost with HAPI on as a process of its own, and who uses it: a web client that has logged in, CLI sockets, event streams. Logins and
// the access token outlive the process, as they do for real clients; so does the port.
import { Database } from "bun:sqlite";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventStream, typeOf } from "../hapi/event-stream.ts";
import { logIn } from "../hapi/hub-under-test.ts";
import type { Json } from "../hapi/placeholders.ts";
import { ScriptedClient } from "../hapi/scripted-client.ts";
import { until } from "../support/until.ts";
import type { ServerProcess } from "./server-process.ts";

/** No port of its own: the main one has everything, and several of these run at once. */
export const HAPI_ENV = { ROOST_HAPI_ENABLED: "true", ROOST_HAPI_PORT: "none" };

export const PLACE = { path: "/p", host: "h", flavor: "claude" };
export const RUNNER = { host: "h", platform: "linux", happyCliVersion: "0.30.7" };

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  readonly body: any;
}

/** The access token that the first start has made. */
export const accessTokenIn = (dataDir: string): string =>
  JSON.parse(readFileSync(join(dataDir, "hapi", "settings.json"), "utf8")).cliApiToken;

export class HapiUser {
  private constructor(
    readonly url: string,
    /** Of CLIs, with its namespace. */
    readonly token: string,
    /** Of the web app. */
    readonly jwt: string,
  ) {}

  static of(server: Pick<ServerProcess, "url">, dataDir: string, namespace = "default"): Promise<HapiUser> {
    return HapiUser.with(server, `${accessTokenIn(dataDir)}:${namespace}`);
  }

  static async with({ url }: Pick<ServerProcess, "url">, token: string): Promise<HapiUser> {
    return new HapiUser(url, token, await logIn({ url, token }));
  }

  /** The same person, with the same login, where the server is now. */
  at(url: string): HapiUser {
    return new HapiUser(url, this.token, this.jwt);
  }

  /** As the web app; below /cli as a CLI. */
  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${path.startsWith("/cli") ? this.token : this.jwt}` },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    try {
      return { status: response.status, body: JSON.parse(text) };
    } catch {
      return { status: response.status, body: text };
    }
  }

  /** @returns its id */
  async session(tag: string = crypto.randomUUID()): Promise<string> {
    const { status, body } = await this.ask("POST", "/cli/sessions", { tag, metadata: PLACE });
    if (status !== 200) throw new Error(`no session: ${status} ${JSON.stringify(body)}`);
    return body.session.id;
  }

  async machine(id: string): Promise<string> {
    const { status, body } = await this.ask("POST", "/cli/machines", { id, metadata: RUNNER });
    if (status !== 200) throw new Error(`no machine: ${status} ${JSON.stringify(body)}`);
    return id;
  }

  /** A socket of `/cli` in the room of its session or machine. */
  cli(auth: { sessionId?: string; machineId?: string } = {}): Promise<ScriptedClient> {
    return ScriptedClient.join(this.url, "/cli", { token: this.token, ...auth });
  }

  /** The same at work: web clients may send to its session. */
  async agent(sessionId: string): Promise<ScriptedClient> {
    const cli = await this.cli({ sessionId });
    keepAlive(cli, sessionId);
    await until("the CLI to be seen", async () => {
      const { body } = await this.ask("GET", `/api/sessions/${sessionId}`);
      return body.session.active;
    });
    return cli;
  }

  /** A socket of `/terminal`. */
  page(): Promise<ScriptedClient> {
    return ScriptedClient.join(this.url, "/terminal", { token: this.jwt });
  }

  /** An event stream with this filter, past its first frame, which says whether anything was missed. */
  async events(filter = "all=true", cursor?: string): Promise<{ stream: EventStream; resume: string }> {
    const since = cursor === undefined ? "" : `&lastEventId=${encodeURIComponent(cursor)}`;
    const { response, stream } = await EventStream.open(
      `${this.url}/api/events?${filter}&token=${this.jwt}${since}`,
    );
    if (response.status !== 200) throw new Error(`no event stream: ${response.status}`);
    const first = await stream.frames.first("the first frame", 10_000, (frame) => frame);
    const { data } = first.says.data as unknown as { data: { resume: string } };
    return { stream, resume: data.resume };
  }

  send(sessionId: string, text: string, localId?: string): Promise<Answer> {
    return this.ask("POST", `/api/sessions/${sessionId}/messages`, { text, localId });
  }

  /** Everything after a seq, as a CLI catches up: page by page until one is not full. */
  async after(sessionId: string, seq: number): Promise<StoredMessage[]> {
    const all: StoredMessage[] = [];
    for (let afterSeq = seq; ; ) {
      const path = `/cli/sessions/${sessionId}/messages?afterSeq=${afterSeq}&limit=200`;
      const { status, body } = await this.ask("GET", path);
      if (status !== 200) throw new Error(`no page: ${status} ${JSON.stringify(body)}`);
      all.push(...body.messages);
      if (body.messages.length < 200) return all;
      afterSeq = all.at(-1)?.seq ?? afterSeq;
    }
  }

  /** The whole history as the web app walks it: forwards by position. */
  async history(sessionId: string): Promise<StoredMessage[]> {
    const all: StoredMessage[] = [];
    for (let at = 0, seq = 1; ; ) {
      const path = `/api/sessions/${sessionId}/messages?afterAt=${at}&afterSeq=${seq}&limit=200`;
      const { status, body } = await this.ask("GET", path);
      if (status !== 200) throw new Error(`no page: ${status} ${JSON.stringify(body)}`);
      all.push(...body.messages);
      if (!body.page.hasMore) return all;
      [at, seq] = [body.page.nextAfterAt, body.page.nextAfterSeq];
    }
  }
}

export interface StoredMessage {
  readonly id: string;
  readonly seq: number;
  readonly localId: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly content: any;
}

export const keepAlive = (cli: ScriptedClient, sid: string): void =>
  cli.emit("session-alive", { sid, time: Date.now(), thinking: false });

/** The acknowledgement's arguments. @throws at once when the socket goes before. */
export function asked(client: ScriptedClient, event: string, payload: Json): Promise<Json[]> {
  const { promise, reject } = Promise.withResolvers<never>();
  const gone = () => reject(new Error(`the socket went before ${event} was acknowledged`));
  client.socket.once("disconnect", gone);
  return Promise.race([client.ask(event, payload), promise]).finally(() =>
    client.socket.off("disconnect", gone),
  );
}

/** `error` events that a CLI was told. */
export const errorsOf = ({ heard }: ScriptedClient): Json[] =>
  heard.all.flatMap(({ event, payload }) => (event === "error" ? [payload] : []));

export const agentSays = (text: string): Json => ({
  role: "agent",
  content: { type: "codex", data: { type: "message", message: text } },
});

/** What either side wrote. */
export const textOf = ({ content }: StoredMessage): string =>
  content.role === "user" ? content.content.text : content.content.data.message;

/** Messages that a stream has told of a session, in the order in which they came. */
export const messagesIn = ({ frames }: EventStream, sessionId: string): StoredMessage[] =>
  frames.all.flatMap((frame) => {
    if (typeOf(frame) !== "message-received") return [];
    const event = frame.says.data as unknown as { sessionId: string; message: StoredMessage };
    return event.sessionId === sessionId ? [event.message] : [];
  });

export interface HapiInspection {
  readonly integrity: readonly unknown[];
  readonly brokenReferences: number;
  readonly doubledLocalIds: number;
  readonly sessions: readonly { readonly messages: number; readonly highest: number | null }[];
}

/** Looks into a copy of a hub's database, whose server does not run. */
export function inspectHapi(dataDir: string): HapiInspection {
  const folder = mkdtempSync(join(tmpdir(), "roost-inspect-"));
  try {
    for (const name of ["hapi.db", "hapi.db-wal"])
      if (existsSync(join(dataDir, "hapi", name)))
        copyFileSync(join(dataDir, "hapi", name), join(folder, name));
    using sqlite = new Database(join(folder, "hapi.db"), { readwrite: true });
    return {
      integrity: sqlite.query("PRAGMA integrity_check").values().flat(),
      brokenReferences: sqlite.query("PRAGMA foreign_key_check").all().length,
      doubledLocalIds: sqlite
        .query(
          "SELECT 1 FROM messages WHERE local_id IS NOT NULL GROUP BY session_id, local_id HAVING count(*) > 1",
        )
        .all().length,
      sessions: sqlite
        .query<{ messages: number; highest: number | null }, []>(
          `SELECT count(m.id) AS messages, max(m.seq) AS highest
           FROM sessions s LEFT JOIN messages m ON m.session_id = s.id GROUP BY s.id`,
        )
        .all(),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
