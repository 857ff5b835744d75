// The connection to Redis that answers to keys and tasks share. What Redis does not answer in time is 6002 for whoever asked; the
// connection is made again at the next question, and changes are heard again as soon as it stands.
import { RedisClient } from "bun";
import type { Logger } from "pino";
import { RpcError } from "../wire/rpc-error.ts";

const CONNECT_MS = 2_000;
const ANSWER_MS = 3_000;
/** Between two attempts to connect. */
const PAUSE_MS = 250;

export type RedisReply = string | number | null | readonly RedisReply[];

/** Scripts run as one step, so that two servers never both have a thing. */
export class RedisScript {
  constructor(readonly text: string) {}
}

export class RedisLink {
  #client: RedisClient | undefined;
  #connecting: Promise<RedisClient> | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #listening: Listening | undefined;
  #isClosed = false;
  #isAway = false;

  constructor(
    private readonly url: string,
    private readonly log: Logger,
  ) {}

  /** @throws RpcError 6002 */
  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<RedisReply> {
    return this.#answered((client) =>
      client.send("EVAL", [script.text, String(keys.length), ...keys, ...args.map(String)]),
    );
  }

  /** @throws RpcError 6002 */
  async check(): Promise<void> {
    await this.#answered((client) => client.send("PING", []));
  }

  /** `heard` gets each message in the order of Redis; `again` is called when messages may have been missed. */
  listen(channel: string, heard: (message: string) => void, again: () => void): void {
    this.#listening = new Listening(this.url, channel, heard, again);
    this.#listening.start();
  }

  close(): void {
    this.#isClosed = true;
    this.#listening?.stop();
    this.#client?.close();
  }

  async #answered(ask: (client: RedisClient) => Promise<unknown>): Promise<RedisReply> {
    let client: RedisClient | undefined;
    try {
      client = await this.#connected();
      const reply = (await within(ANSWER_MS, ask(client))) as RedisReply;
      this.#isAway = false;
      return reply;
    } catch (error) {
      const { code } = error as { code?: string };
      // What a script says is wrong with itself is no matter of the connection.
      if (code === "ERR_REDIS_SERVER_ERROR") throw error;
      if (client !== undefined && client === this.#client) {
        this.#client = undefined;
        client.close();
      }
      if (!this.#isAway && !this.#isClosed) this.log.warn({ code: code ?? "LATE" }, "Redis does not answer");
      this.#isAway = true;
      throw new RpcError(6002, { message: "the store does not answer" });
    }
  }

  async #connected(): Promise<RedisClient> {
    if (this.#client?.connected === true) return this.#client;
    if (this.#isClosed) throw new Error("closed");
    if (this.#connecting === undefined) {
      if (performance.now() < this.#triedAt + PAUSE_MS) throw new Error("not connected");
      this.#triedAt = performance.now();
      this.#connecting = connect(this.url).finally(() => {
        this.#connecting = undefined;
      });
    }
    const client = await this.#connecting;
    if (this.#isClosed) client.close();
    else if (this.#client !== client) this.#client = client;
    return client;
  }
}

/** One connection that only hears: made again until it is stopped. */
class Listening {
  #client: RedisClient | undefined;
  #isStopped = false;
  #timer: Timer | undefined;
  #wasThere = false;

  constructor(
    private readonly url: string,
    private readonly channel: string,
    private readonly heard: (message: string) => void,
    private readonly again: () => void,
  ) {}

  start(): void {
    connect(this.url)
      .then(async (client) => {
        if (this.#isStopped) {
          client.close();
          return;
        }
        this.#client = client;
        client.onclose = () => this.#lost();
        await within(
          ANSWER_MS,
          client.subscribe(this.channel, (message) => this.heard(message)),
        );
        if (this.#wasThere) this.again();
        this.#wasThere = true;
      })
      .catch(() => this.#lost());
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#client?.close();
  }

  #lost(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.close();
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), PAUSE_MS);
    this.#timer.unref();
  }
}

async function connect(url: string): Promise<RedisClient> {
  const client = new RedisClient(url, {
    autoReconnect: false,
    enableOfflineQueue: false,
    connectionTimeout: CONNECT_MS,
  });
  try {
    await within(CONNECT_MS, client.connect());
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  work.then(resolve, reject).finally(() => clearTimeout(timer));
  return promise;
}
