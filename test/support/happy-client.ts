// A Happy account in a test: signs in for real, calls the API, and listens on real sockets with everything it heard kept in order.
import { io, type Socket } from "socket.io-client";
import nacl from "tweetnacl";

export interface Heard {
  readonly event: "update" | "ephemeral" | string;
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  readonly body: any;
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  readonly body: any;
  readonly headers: Headers;
}

const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

export interface Account {
  readonly id: string;
  readonly token: string;
  readonly url: string;
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Connects one socket and resolves when it is accepted. */
  connect(auth?: Record<string, unknown>): Promise<Listener>;
}

/** A new account on the server, signed in by challenge. */
export async function newAccount(url: string): Promise<Account> {
  const keys = nacl.sign.keyPair();
  const challenge = nacl.randomBytes(32);
  const signature = nacl.sign.detached(challenge, keys.secretKey);
  const answer = await call(url, undefined, "POST", "/v1/auth", {
    publicKey: b64(keys.publicKey),
    challenge: b64(challenge),
    signature: b64(signature),
  });
  if (answer.status !== 200)
    throw new Error(`sign-in answered ${answer.status} ${JSON.stringify(answer.body)}`);
  return accountWith(url, answer.body.token);
}

export function accountWith(url: string, token: string): Account {
  const payload = JSON.parse(atob(token.split(".")[1] ?? ""));
  return {
    id: payload.sub,
    token,
    url,
    call: (method, path, body) => call(url, token, method, path, body),
    connect: (auth = { clientType: "user-scoped" }) => listen(url, { token, ...auth }),
  };
}

export async function call(
  url: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    redirect: "manual",
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  let parsed: unknown = text;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not every answer is JSON.
  }
  return { status: response.status, body: parsed, headers: response.headers };
}

/** One connected socket and what it heard, in order. */
export class Listener {
  readonly heard: Heard[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(readonly socket: Socket) {
    socket.onAny((event: string, body: unknown) => {
      this.heard.push({ event, body });
      for (const look of [...this.#waiting]) look();
    });
  }

  get updates(): Heard["body"][] {
    return this.heard.filter(({ event }) => event === "update").map(({ body }) => body);
  }

  get ephemerals(): Heard["body"][] {
    return this.heard.filter(({ event }) => event === "ephemeral").map(({ body }) => body);
  }

  /** The first thing heard, now or later, that fits. Rejects after the bound with what was heard instead. */
  until(fits: (heard: Heard) => boolean, boundMs = 5_000): Promise<Heard["body"]> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.heard.find(fits);
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found.body);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(
          new Error(`not heard within ${boundMs} ms; heard ${JSON.stringify(this.heard).slice(0, 2000)}`),
        );
      }, boundMs);
      this.#waiting.add(look);
      look();
    });
  }

  untilUpdate(t: string, boundMs?: number): Promise<Heard["body"]> {
    return this.until(({ event, body }) => event === "update" && body.body.t === t, boundMs);
  }

  untilEphemeral(
    type: string,
    fits: (body: Heard["body"]) => boolean = () => true,
    boundMs?: number,
  ): Promise<Heard["body"]> {
    return this.until(
      ({ event, body }) => event === "ephemeral" && body.type === type && fits(body),
      boundMs,
    );
  }

  /** Emits with an acknowledgement; rejects after the bound. */
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  ask(event: string, ...args: unknown[]): Promise<any> {
    return this.socket.timeout(35_000).emitWithAck(event, ...args);
  }

  /** Everything that this server sent to this socket so far has arrived: an answered round trip on the same, ordered connection. */
  async settled(): Promise<void> {
    await this.ask("ping");
  }

  close(): void {
    this.socket.close();
  }
}

export function listen(
  url: string,
  auth: Record<string, unknown>,
  options: Record<string, unknown> = {},
): Promise<Listener> {
  const socket = io(url, {
    path: "/v1/updates",
    transports: ["websocket"],
    auth,
    forceNew: true,
    reconnection: false,
    ...options,
  });
  const listener = new Listener(socket);
  return new Promise((resolve, reject) => {
    const refused = (error: Error) => {
      socket.close();
      reject(error);
    };
    // The transport was up, and went before the server accepted.
    const gone = (reason: string) => refused(new Error(`not accepted: ${reason}`));
    socket.once("connect", () => {
      // From here on a lost connection is the test's matter; the client may come back by itself.
      socket.off("connect_error", refused).off("disconnect", gone);
      resolve(listener);
    });
    socket.once("connect_error", refused);
    socket.once("disconnect", gone);
  });
}
