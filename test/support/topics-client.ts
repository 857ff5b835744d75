// Somebody who uses the topics API in a test: logs in for real, calls the API, and listens on real sockets with everything heard
// kept in order.
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { SignJWT } from "jose";
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import type { Config } from "./config.ts";
import { type TestServer, testServer } from "./server.ts";

// biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
type Wire = any;

export interface Answer {
  readonly status: number;
  readonly body: Wire;
  readonly headers: Headers;
}

export const TOPICS_SECRET = "test-secret";

/** A server with topics on and the user admin with the password admin123, as the contract's tests have. */
export function topicsServer(overrides: Partial<Config> = {}): Promise<TestServer> {
  return testServer({
    topicsEnabled: true,
    topicsJwtSecret: TOPICS_SECRET,
    topicsAdminUsername: "admin",
    topicsAdminPassword: "admin123",
    ...overrides,
  });
}

/** One request below /api/v1; a string body is sent as it is. */
export async function call(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text === "" ? undefined : JSON.parse(text),
    headers: response.headers,
  };
}

export interface TopicsUser {
  readonly token: string;
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown): Promise<Answer>;
  connect(options?: Partial<ManagerOptions & SocketOptions>): Promise<Listener>;
}

export async function login(url: string, username = "admin", password = "admin123"): Promise<TopicsUser> {
  const { body } = await call(url, "POST", "/auth/login", { username, password });
  if (body.code !== 0) throw new Error(`login answered ${JSON.stringify(body)}`);
  return userWith(url, body.data.token);
}

export function userWith(url: string, token: string): TopicsUser {
  const headers = { authorization: `Bearer ${token}` };
  return {
    token,
    get: (path) => call(url, "GET", path, undefined, headers),
    post: (path, body) => call(url, "POST", path, body, headers),
    connect: (options) => connected(listener(url, { auth: { token }, ...options })),
  };
}

/** A token of user 1 with these claims instead or besides, as another program may have signed it. */
export function signedToken(
  claims: Record<string, unknown>,
  issuer = "go_cmdb",
  secret = TOPICS_SECRET,
): Promise<string> {
  return new SignJWT({ uid: 1, sub: "admin", role: "admin", ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuer(issuer)
    .sign(new TextEncoder().encode(secret));
}

export const bodyOf = async (response: Response): Promise<Wire> => (await response.json()) as Wire;

/** A redirect website; its domain is its only difference. */
export const site = (...domains: string[]) => ({
  line_group_id: 1,
  domains,
  origin_mode: "redirect",
  redirect_url: "https://a.example",
});

export interface Heard {
  readonly event: string;
  readonly body: Wire;
}

/** One socket, connected or refused, and what it heard. */
export class Listener {
  readonly heard: Heard[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(readonly socket: Socket) {
    const keep = (event: string, body: Wire) => {
      this.heard.push({ event, body });
      for (const look of [...this.#waiting]) look();
    };
    socket.onAny(keep);
    socket.on("connect_error", (error) => keep("connect_error", error));
    socket.on("disconnect", (reason) => keep("disconnect", reason));
  }

  /** Bodies of one event, in the order of arrival. */
  all(event: string): Wire[] {
    return this.heard.filter((heard) => heard.event === event).map(({ body }) => body);
  }

  /** Resolves with the bodies of an event once there are `count` of them; rejects after the bound. */
  async until(event: string, count = 1, boundMs = 5_000): Promise<Wire[]> {
    const { promise, resolve, reject } = Promise.withResolvers<Wire[]>();
    const look = () => {
      const found = this.all(event);
      if (found.length >= count) resolve(found);
    };
    const timer = setTimeout(() => {
      const heard = JSON.stringify(this.heard).slice(0, 2000);
      reject(new Error(`not ${count} times ${event} within ${boundMs} ms; heard ${heard}`));
    }, boundMs);
    this.#waiting.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  /** Emits with an acknowledgement; rejects after the bound. */
  ask(event: string, ...args: unknown[]): Promise<Wire> {
    return this.socket.timeout(10_000).emitWithAck(event, ...args);
  }

  /** Everything sent to this socket so far has arrived: an answered round trip on the same, ordered connection. */
  async settled(): Promise<void> {
    await this.ask("request:no-such-topic");
  }

  clear(): void {
    this.heard.length = 0;
  }

  close(): void {
    this.socket.close();
  }
}

/** A socket at the default path that does not come back by itself. */
export function listener(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Listener {
  return new Listener(
    io(url, { transports: ["websocket"], forceNew: true, reconnection: false, ...options }),
  );
}

export async function connected(heard: Listener): Promise<Listener> {
  await heard.until("connected");
  return heard;
}

/** The topics database beside its running server; closed by the caller. */
export function openRows(server: { dataDir: string }): Database {
  const database = new Database(join(server.dataDir, "topics.db"), { strict: true });
  database.run("PRAGMA busy_timeout = 5000");
  database.run("PRAGMA foreign_keys = ON");
  return database;
}
