// The sockets of the HAPI hub behind a door of their own, in this process, with real clients. What they call is a double that keeps
// sessions and machines in memory, notes what it was asked, and fails where a test wants it to.
import { type ManagerOptions, io as open, type Socket, type SocketOptions } from "socket.io-client";
import type {
  Answer,
  HubDeeds,
  Presence,
  Sender,
  SentMessage,
  ValueWish,
} from "../../src/hapi/realtime/deeds.ts";
import type { SocketAccess } from "../../src/hapi/realtime/handshake.ts";
import { allowedOrigins } from "../../src/hapi/realtime/origins.ts";
import { HapiSockets, SOCKET_PATH } from "../../src/hapi/realtime/sockets.ts";
import type { Limits } from "../../src/limits/limits.ts";
import { createLog } from "../../src/observability/log.ts";
import { openFrontDoor } from "../../src/server/front-door.ts";
import { SocketIoPaths } from "../../src/server/socket-io.ts";
import type { Config } from "./config.ts";
import { parseConfig } from "./config.ts";
import { testLimits } from "./limits.ts";

export const TOKEN = "an-access-token";

export class DoubleHub implements HubDeeds {
  /** By id. */
  readonly sessions = new Map<string, { namespace: string; active: boolean }>();
  readonly machines = new Map<string, { namespace: string }>();
  /** Deed, namespace of its sender, and what it was asked. */
  readonly asked: [deed: string, namespace: string, ...what: unknown[]][] = [];
  /** Deeds that throw. */
  readonly failing = new Set<string>();
  /** Deeds wait for it. */
  gate: Promise<void> | undefined;
  /** Called when a message is stored. */
  stored: (from: Sender, message: SentMessage) => void = () => {};

  addSession(id: string, namespace = "default", active = true): string {
    this.sessions.set(id, { namespace, active });
    return id;
  }

  addMachine(id: string, namespace = "default"): string {
    this.machines.set(id, { namespace });
    return id;
  }

  of(deed: string): unknown[][] {
    return this.asked.filter(([name]) => name === deed).map(([, ...rest]) => rest);
  }

  async sessionAbsence(namespace: string, id: string): Promise<Presence> {
    return this.#absence(this.sessions, namespace, id);
  }

  async machineAbsence(namespace: string, id: string): Promise<Presence> {
    return this.#absence(this.machines, namespace, id);
  }

  isSessionActive(namespace: string, id: string): boolean {
    const session = this.sessions.get(id);
    return session?.namespace === namespace && session.active;
  }

  async message(from: Sender, message: SentMessage): Promise<Presence> {
    const absence = await this.#session("message", from, message);
    if (absence === undefined) this.stored(from, message);
    return absence;
  }

  sessionAlive = (from: Sender, told: { sid: string }) => this.#session("sessionAlive", from, told);
  sessionEnd = (from: Sender, told: { sid: string }) => this.#session("sessionEnd", from, told);
  sessionReady = (from: Sender, told: { sid: string }) => this.#session("sessionReady", from, told);
  messagesConsumed = (from: Sender, told: { sid: string }) => this.#session("messagesConsumed", from, told);
  messagesIndeterminate = (from: Sender, told: { sid: string }) =>
    this.#session("messagesIndeterminate", from, told);
  nativeQueueMessage = (from: Sender, told: { sid: string }) =>
    this.#session("nativeQueueMessage", from, told);
  messagesSteerState = async (from: Sender, told: { sid: string }) =>
    (await this.#session("messagesSteerState", from, told)) ?? true;

  machineAlive = (from: Sender, told: { machineId: string }) => this.#machine("machineAlive", from, told);
  agyModelsChanged = (from: Sender, machineId: string) =>
    this.#machine("agyModelsChanged", from, { machineId });

  updateMetadata = (from: Sender, wish: ValueWish, answer: Answer) =>
    this.#change("updateMetadata", "metadata", from, wish, answer);
  updateAgentState = (from: Sender, wish: ValueWish, answer: Answer) =>
    this.#change("updateAgentState", "agentState", from, wish, answer);
  updateMachineMetadata = (from: Sender, wish: ValueWish, answer: Answer) =>
    this.#change("updateMachineMetadata", "metadata", from, wish, answer);
  updateRunnerState = (from: Sender, wish: ValueWish, answer: Answer) =>
    this.#change("updateRunnerState", "runnerState", from, wish, answer);

  #absence(all: ReadonlyMap<string, { namespace: string }>, namespace: string, id: string): Presence {
    if (this.failing.has("absence")) throw new Error("out of order");
    const known = all.get(id);
    if (known === undefined) return "not-found";
    return known.namespace === namespace ? undefined : "access-denied";
  }

  async #session(deed: string, { namespace }: Sender, told: { readonly sid: string }): Promise<Presence> {
    this.#note(deed, namespace, told);
    await this.gate;
    return this.sessionAbsence(namespace, told.sid);
  }

  async #machine(
    deed: string,
    { namespace }: Sender,
    told: { readonly machineId: string },
  ): Promise<Presence> {
    this.#note(deed, namespace, told);
    return this.machineAbsence(namespace, told.machineId);
  }

  async #change(
    deed: string,
    key: string,
    { namespace }: Sender,
    wish: ValueWish,
    answer: Answer,
  ): Promise<void> {
    this.#note(deed, namespace, wish);
    const all = key === "runnerState" || deed === "updateMachineMetadata" ? this.machines : this.sessions;
    const reason = this.#absence(all, namespace, wish.id);
    if (reason !== undefined) answer({ result: "error", reason });
    else answer({ result: "success", version: wish.expectedVersion + 1, [key]: wish.value });
    // Twice: only the first counts.
    answer({ result: "error" });
  }

  #note(deed: string, namespace: string, ...what: unknown[]): void {
    this.asked.push([deed, namespace, ...what]);
    if (this.failing.has(deed)) throw new Error(`${deed} is out of order`);
  }
}

export interface HapiClient {
  readonly socket: Socket;
  /** Events with their arguments, without acknowledgements. */
  readonly heard: unknown[][];
  /** Of one event: its first argument each time. */
  all(event: string): unknown[];
  /** @throws what it was refused with. */
  connected(): Promise<HapiClient>;
  refused(): Promise<string>;
  /** The arguments of the acknowledgement. */
  ask(event: string, ...args: unknown[]): Promise<unknown[]>;
  /** Resolves when the server has handled everything that was sent before: by `ping`, or what stands for it. */
  settled(): Promise<void>;
}

export interface OpenHapiSockets {
  readonly sockets: HapiSockets;
  readonly hub: DoubleHub;
  readonly limits: Limits;
  readonly url: string;
  readonly port: number;
  /** JSON lines of the log, at warn and above. */
  readonly lines: string[];
  connect(namespace: string, auth: object, options?: Partial<ManagerOptions & SocketOptions>): HapiClient;
  cli(auth?: object): Promise<HapiClient>;
  page(namespace?: string): Promise<HapiClient>;
  close(): Promise<void>;
}

export interface OpenHapiOptions {
  readonly config?: Partial<Config>;
  readonly origins?: readonly string[];
  readonly ownPort?: number;
  readonly terminals?: { readonly max: number; readonly idleMs: number };
  /** Claims of others on the same paths, before ours. */
  readonly also?: (paths: SocketIoPaths) => void;
  /** Names of other protocols at the listener. */
  readonly beside?: readonly string[];
  readonly guesses?: SocketAccess["guesses"];
}

/** A login is `jwt:` and its claims as JSON. */
export const login = (claims: unknown): string => `jwt:${JSON.stringify(claims)}`;

export async function openHapiSockets(options: OpenHapiOptions = {}): Promise<OpenHapiSockets> {
  const lines: string[] = [];
  const log = createLog("warn", { write: (line: string) => lines.push(line) });
  const config = { ...parseConfig({}), ...options.config };
  const limits = testLimits(options.config);
  const paths = new SocketIoPaths({ limits, log });
  options.also?.(paths);
  const hub = new DoubleHub();
  const sockets = new HapiSockets({
    paths,
    limits,
    config,
    terminals: options.terminals ?? { max: 4, idleMs: 900_000 },
    access: {
      namespaceOf: (token) => {
        const [base, namespace = "default", ...more] = token.split(":");
        return base === TOKEN && more.length === 0 ? namespace : undefined;
      },
      ...(options.guesses !== undefined && { guesses: options.guesses }),
      loginClaims: async (token) => (token.startsWith("jwt:") ? JSON.parse(token.slice(4)) : undefined),
    },
    allowsOrigin: allowedOrigins({
      listed: () => options.origins ?? [],
      config,
      ownPort: options.ownPort,
    }),
    pace: { turn: (_account, _bytes, work) => work() },
    log,
  });
  sockets.accept(hub);
  const door = openFrontDoor({
    host: "127.0.0.1",
    listeners: [
      {
        port: 0,
        served: ["hapi", ...(options.beside ?? [])].map((name) => ({ name, http: [], sockets: [] })),
      },
    ],
    shared: paths.open(),
    trustedProxies: [],
    limits,
    log,
  });
  const url = `http://127.0.0.1:${door.port}`;
  const clients: Socket[] = [];
  const connect: OpenHapiSockets["connect"] = (namespace, auth, more = {}) => {
    const socket = open(`${url}${namespace}`, {
      path: SOCKET_PATH,
      transports: ["websocket"],
      reconnection: false,
      forceNew: true,
      auth: auth as { [key: string]: unknown },
      ...more,
    });
    clients.push(socket);
    return clientOf(socket);
  };
  return {
    sockets,
    hub,
    limits,
    url,
    port: door.port,
    lines,
    connect,
    cli: (auth = {}) => connect("/cli", { token: TOKEN, ...auth }).connected(),
    page: (ns = "default") => connect("/terminal", { token: login({ uid: 1, ns }) }).connected(),
    close: async () => {
      for (const socket of clients) socket.close();
      await door.close(1_000);
      sockets.stop();
    },
  };
}

function clientOf(socket: Socket): HapiClient {
  const heard: unknown[][] = [];
  socket.onAny((...args: unknown[]) => heard.push(args.filter((arg) => typeof arg !== "function")));
  const client: HapiClient = {
    socket,
    heard,
    all: (event) => heard.filter(([name]) => name === event).map(([, payload]) => payload),
    connected: () =>
      new Promise((resolve, reject) => {
        if (socket.connected) return resolve(client);
        socket.once("connect", () => resolve(client));
        socket.once("connect_error", reject);
      }),
    refused: () =>
      new Promise((resolve, reject) => {
        socket.once("connect_error", (error) => resolve(error.message));
        socket.once("connect", () => reject(new Error("it was let in")));
      }),
    ask: (event, ...args) =>
      new Promise((resolve, reject) => {
        socket.timeout(5_000).emit(event, ...args, (error: Error | null, ...answer: unknown[]) => {
          if (error) reject(new Error(`${event}: ${error.message}`));
          else resolve(answer);
        });
      }),
    // Acknowledged by both namespaces, after what came before it.
    settled: async () => {
      await client.ask("ping");
    },
  };
  return client;
}
