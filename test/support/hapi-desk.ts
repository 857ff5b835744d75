// A whole Roost with HAPI on, a web client that has logged in, and CLIs that answer calls from a table and note what they were asked.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { io, type Socket } from "socket.io-client";
import type { Config } from "./config.ts";
import { type TestServer, testServer } from "./server.ts";
import { until } from "./until.ts";

type Json = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly text: string;
  readonly headers: Headers;
}

export class HapiDesk {
  readonly #open: DeskCli[] = [];

  private constructor(
    readonly server: TestServer,
    readonly token: string,
    private readonly jwt: string,
    readonly ownerId: number,
  ) {}

  static async open(settings: Json = {}): Promise<HapiDesk> {
    const server = await testServer({ hapiEnabled: true, hapiPort: "none", ...settings } as Partial<Config>);
    const home = join(server.dataDir, "hapi");
    const { cliApiToken } = JSON.parse(readFileSync(join(home, "settings.json"), "utf8"));
    const { token, user } = await loggedIn(server, cliApiToken);
    return new HapiDesk(server, cliApiToken, token, user.id);
  }

  get home(): string {
    return join(this.server.dataDir, "hapi");
  }

  /** A web client of another namespace. */
  async of(namespace: string): Promise<HapiDesk> {
    const token = `${this.token}:${namespace}`;
    const login = await loggedIn(this.server, token);
    return new HapiDesk(this.server, token, login.token, login.user.id);
  }

  /** As the web app; below /cli as a CLI. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const bearer = path.startsWith("/cli") ? this.token : this.jwt;
    const response = await fetch(`${this.server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${bearer}`, ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return answerOf(response);
  }

  /** Bytes of another type than JSON. */
  async post(path: string, body: ArrayBuffer, type: string, signal?: AbortSignal): Promise<Answer> {
    const response = await fetch(`${this.server.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.jwt}`, "content-type": type },
      body,
      ...(signal !== undefined && { signal }),
    });
    return answerOf(response);
  }

  /** The login of this client. */
  get login(): string {
    return this.jwt;
  }

  /** [status, body], for tables. */
  async short(method: string, path: string, body?: unknown): Promise<[number, unknown]> {
    const answer = await this.ask(method, path, body);
    return [answer.status, answer.body ?? answer.text];
  }

  /** @returns its id */
  async session(metadata: Json = {}, more: Json = {}): Promise<string> {
    const { body } = await this.ask("POST", "/cli/sessions", {
      tag: crypto.randomUUID(),
      metadata: { path: "/p", host: "h", flavor: "claude", ...metadata },
      ...more,
    });
    return (body as { session: { id: string } }).session.id;
  }

  async machine(id: string, metadata: Json = {}): Promise<void> {
    const whole = { host: "h", platform: "linux", happyCliVersion: "0.30.7", ...metadata };
    await this.ask("POST", "/cli/machines", { id, metadata: whole });
  }

  /** A CLI at work on the session, which has these functions. */
  async sessionCli(id: string, answers: Json = {}): Promise<DeskCli> {
    const cli = await this.#cli("session", id, answers);
    cli.alive();
    await until("the CLI to be seen", async () => {
      const { body } = await this.ask("GET", `/api/sessions/${id}`);
      return (body as { session: { active: boolean } }).session.active;
    });
    return cli;
  }

  async runner(id: string, answers: Json = {}): Promise<DeskCli> {
    const cli = await this.#cli("machine", id, answers);
    cli.socket.emit("machine-alive", { machineId: id, time: Date.now() });
    await until("the CLI to be seen", async () => {
      const { body } = await this.ask("GET", "/api/machines");
      return (body as { machines: { id: string }[] }).machines.some((machine) => machine.id === id);
    });
    return cli;
  }

  async #cli(kind: "session" | "machine", id: string, answers: Json): Promise<DeskCli> {
    const cli = await DeskCli.open(this.server.url, this.token, kind, id, answers);
    this.#open.push(cli);
    return cli;
  }

  async close(): Promise<void> {
    for (const cli of this.#open) cli.socket.close();
    await this.server.stop();
  }
}

export class DeskCli {
  /** By function; a function gets the parameters. */
  readonly answers: Map<string, unknown>;
  readonly calls: [name: string, params: unknown][] = [];
  readonly updates: { body: Json & { t: string } }[] = [];
  /** What it acknowledges an update with that asks for it. */
  acknowledges: (body: Json & { t: string }) => unknown = () => null;

  private constructor(
    readonly id: string,
    readonly socket: Socket,
    answers: Json,
  ) {
    this.answers = new Map(Object.entries(answers));
  }

  static async open(
    url: string,
    token: string,
    kind: "session" | "machine",
    id: string,
    answers: Json,
  ): Promise<DeskCli> {
    const socket = io(`${url}/cli`, {
      transports: ["websocket"],
      auth: { token, clientType: `${kind}-scoped`, [`${kind}Id`]: id },
      forceNew: true,
      reconnection: false,
    });
    const cli = new DeskCli(id, socket, answers);
    socket.on("rpc-request", ({ method, params }, acknowledge) => {
      const name = String(method).slice(id.length + 1);
      const given = JSON.parse(params);
      cli.calls.push([name, given]);
      const answer = cli.answers.get(name);
      acknowledge(JSON.stringify(typeof answer === "function" ? answer(given) : (answer ?? null)));
    });
    socket.on("update", (update, acknowledge) => {
      cli.updates.push(update);
      acknowledge?.(cli.acknowledges(update.body));
    });
    await new Promise<void>((resolve, reject) => {
      socket.on("connect", resolve);
      socket.on("connect_error", reject);
    });
    for (const name of cli.answers.keys()) socket.emit("rpc-register", { method: `${id}:${name}` });
    await cli.flush();
    return cli;
  }

  alive(more: Json = {}): void {
    this.socket.emit("session-alive", { sid: this.id, time: Date.now(), thinking: false, ...more });
  }

  emit(event: string, payload: Json): void {
    this.socket.emit(event, payload);
  }

  /** Everything that was sent before has been read. */
  flush(): Promise<unknown> {
    return this.socket.emitWithAck("ping");
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  const { status, headers } = response;
  return { status, body: isJson ? JSON.parse(text) : undefined, text, headers };
}

async function loggedIn(
  { url }: TestServer,
  accessToken: string,
): Promise<{ token: string; user: { id: number } }> {
  const response = await fetch(`${url}/api/auth`, { method: "POST", body: JSON.stringify({ accessToken }) });
  return (await response.json()) as { token: string; user: { id: number } };
}
