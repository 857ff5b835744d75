// What the attacks have in common: connections from addresses of the loopback network, an account whose requests have to go on
// meanwhile, and how long they take.
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, newAccount } from "../../support/happy-client.ts";
import { type Launch, type ServerProcess, startProcess } from "../server-process.ts";

export interface Attacked {
  readonly server: ServerProcess;
  readonly account: Account;
  readonly sessionId: string;
  /** Ends everything that was started. */
  end(): Promise<void>;
}

/** A server with an account, and its session. */
export async function attacked(launch: Omit<Launch, "dataDir"> = {}): Promise<Attacked> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-abuse-"));
  const server = await startProcess({ dataDir, ...launch });
  const account = await newAccount(server.url);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
  return {
    server,
    account,
    sessionId: body.session.id,
    end: async () => {
      await server.end("SIGKILL");
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Connections from one address, each of which sends the same and then waits. With `reopen` one that is closed is opened again. */
export class Crowd {
  readonly #sockets = new Set<Socket>();
  #isOver = false;
  opened = 0;
  closed = 0;
  /** The beginning of every answer. */
  readonly answers: string[] = [];

  constructor(
    private readonly options: {
      readonly port: number;
      readonly from: string;
      readonly sends?: string | Uint8Array;
      readonly reopen?: boolean;
    },
  ) {}

  /** Resolves when so many more connections are open or were refused. */
  async open(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#one()));
  }

  /** Connections that are open now. */
  get size(): number {
    return this.#sockets.size;
  }

  end(): void {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #one(): Promise<void> {
    const { port, from, sends, reopen } = this.options;
    const socket = connect({ port, host: "127.0.0.1", localAddress: from });
    this.#sockets.add(socket);
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("connect", () => {
      this.opened++;
      if (sends !== undefined) socket.write(sends);
      resolve();
    });
    socket.once("data", (chunk) => this.answers.push(chunk.toString("latin1").slice(0, 60)));
    socket.resume();
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.closed++;
      resolve();
      if (reopen === true && !this.#isOver) setTimeout(() => void this.#one(), 20);
    });
    return promise;
  }
}

/** Runs until `over`, one after the other, a little apart. @returns the slowest, in milliseconds, and how many there were. */
export async function repeatedly(
  work: () => Promise<void>,
  over: Promise<unknown>,
): Promise<{ slowestMs: number; times: number }> {
  let isOver = false;
  void over.finally(() => {
    isOver = true;
  });
  let slowestMs = 0;
  let times = 0;
  while (!isOver || times === 0) {
    const startedAt = performance.now();
    await work();
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    times++;
    await Bun.sleep(60);
  }
  return { slowestMs, times };
}

/** What a person does all day: a message, a list, an attachment. @throws Error when one of it fails. */
export async function usual({ account, sessionId }: Attacked): Promise<void> {
  const message = { messages: [{ content: "aGVsbG8=", localId: crypto.randomUUID() }] };
  const attachment = `/v1/sessions/${sessionId}/attachments/${crypto.randomUUID()}.enc`;
  const headers = { authorization: `Bearer ${account.token}` };
  const statuses = {
    message: (await account.call("POST", `/v3/sessions/${sessionId}/messages`, message)).status,
    list: (await account.call("GET", "/v1/sessions")).status,
    attachment: (
      await fetch(`${account.url}${attachment}`, {
        method: "PUT",
        headers: { ...headers, "content-type": "application/octet-stream" },
        body: new Uint8Array(20_000),
      })
    ).status,
  };
  if (Object.values(statuses).some((status) => status !== 200))
    throw new Error(`the account's requests failed: ${JSON.stringify(statuses)}`);
}
