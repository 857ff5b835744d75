// The process is killed in the middle of writing, again and again. Whatever was acknowledged is there exactly once afterwards, seqs
// have no holes, and the file is sound. What was not acknowledged may be there; sent again it is there once. Every third life of the server
// commits the blocking way, so that each way begins with what the other has left.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rounds } from "../support/full.ts";
import { type Account, accountWith, type Listener, newAccount } from "../support/happy-client.ts";
import { type Inspection, inspect, inspectCopy } from "./database-file.ts";
import { type Random, seeded } from "./random.ts";
import { type ServerProcess, startProcess } from "./server-process.ts";

const ROUNDS = rounds(16, 100);
const SESSIONS = 4;
const LOOK_EVERY = 4;

const dataDir = mkdtempSync(join(tmpdir(), "roost-kill-"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

let lives = 0;

const start = () => {
  const commit = ++lives % 3 === 0 ? "blocking" : "pipelined";
  const env = { ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false", ROOST_COMMIT: commit };
  return startProcess({ dataDir, env });
};

interface Sent {
  readonly content: string;
  readonly localId: string;
}

/** One session with what its writers know: what they sent, what was acknowledged, and what a reader found. */
class Ledger {
  readonly acknowledged = new Set<string>();
  /** localId -> seq, as read after restarts. */
  readonly stored = new Map<string, number>();
  readonly #contents = new Map<string, string>();
  #last = 0;
  #next = 0;

  constructor(readonly sid: string) {}

  compose(count: number): Sent[] {
    return Array.from({ length: count }, () => {
      const localId = `${this.sid}-${++this.#next}`;
      const content = `${localId} `.repeat(1 + (this.#next % 40));
      this.#contents.set(localId, content);
      return { content, localId };
    });
  }

  acknowledge(batch: readonly Sent[]): void {
    for (const { localId } of batch) this.acknowledged.add(localId);
  }

  /** Reads what is new since the last look, and holds it against what is known. */
  async check(account: Account): Promise<void> {
    for (;;) {
      const page = await account.call(
        "GET",
        `/v3/sessions/${this.sid}/messages?after_seq=${this.#last}&limit=500`,
      );
      expect(page.status).toBe(200);
      for (const { seq, localId, content } of page.body.messages) {
        expect(seq).toBe(this.#last + 1);
        expect(this.stored.has(localId)).toBe(false);
        expect(content.c).toBe(this.#contents.get(localId));
        this.stored.set(localId, seq);
        this.#last = seq;
      }
      if (!page.body.hasMore) break;
    }
    const lost = [...this.acknowledged].filter((localId) => !this.stored.has(localId));
    expect(lost).toEqual([]);
  }

  get everySent(): string[] {
    return [...this.#contents.keys()];
  }
}

/** Sends batch after batch; a batch without an acknowledgement is the first that it sends after the restart, as clients do. */
abstract class Sender {
  #pending: Sent[] | undefined;

  constructor(
    protected readonly ledger: Ledger,
    private readonly random: Random,
  ) {}

  protected abstract send(account: Account, batch: readonly Sent[]): Promise<void>;

  /** Runs until the server is gone. @throws what is not explained by that. */
  async run(account: Account, acknowledged: (messages: number) => void, gone: () => boolean): Promise<void> {
    while (!gone()) {
      const batch = this.#pending ?? this.ledger.compose(this.random.whole(1, 5));
      this.#pending = batch;
      try {
        await this.send(account, batch);
      } catch (error) {
        if (!gone()) throw error;
        return;
      }
      this.ledger.acknowledge(batch);
      this.#pending = undefined;
      acknowledged(batch.length);
    }
  }

  /** Sends what is still open, to a server that stays. */
  async finish(account: Account): Promise<void> {
    if (this.#pending === undefined) return;
    await this.send(account, this.#pending);
    this.ledger.acknowledge(this.#pending);
    this.#pending = undefined;
  }
}

class HttpSender extends Sender {
  protected async send(account: Account, batch: readonly Sent[]): Promise<void> {
    const answer = await account.call("POST", `/v3/sessions/${this.ledger.sid}/messages`, {
      messages: batch,
    });
    expect(answer.status).toBe(200);
  }
}

class SocketSender extends Sender {
  #listener: Listener | undefined;

  protected async send(account: Account, batch: readonly Sent[]): Promise<void> {
    if (this.#listener?.socket.connected !== true) {
      this.#listener = await account.connect({ clientType: "session-scoped", sessionId: this.ledger.sid });
    }
    for (const { content: message, localId } of batch)
      this.#listener.socket.emit("message", { sid: this.ledger.sid, message, localId });
    await this.#listener.settled();
  }

  close(): void {
    this.#listener?.close();
  }
}

function expectSound({ integrity, brokenReferences, doubledLocalIds, sessions }: Inspection): void {
  expect(integrity).toEqual(["ok"]);
  expect(brokenReferences).toBe(0);
  expect(doubledLocalIds).toBe(0);
  expect(sessions).toHaveLength(SESSIONS);
  for (const { seq, lowest, highest, messages } of sessions) {
    expect(highest ?? 0).toBe(seq);
    expect(messages).toBe(seq);
    if (seq > 0) expect(lowest).toBe(1);
  }
}

test(`${ROUNDS} times kill -9 while eight writers write: everything acknowledged is there exactly once`, async () => {
  const random = seeded("kill-9");
  let server: ServerProcess = await start();
  const { token } = await newAccount(server.url);
  let account = accountWith(server.url, token);
  const ledgers: Ledger[] = [];
  for (let index = 0; index < SESSIONS; index++) {
    const opened = await account.call("POST", "/v1/sessions", { tag: `s${index}`, metadata: "m" });
    ledgers.push(new Ledger(opened.body.session.id));
  }
  const sockets = ledgers.map((ledger) => new SocketSender(ledger, random));
  const senders: Sender[] = [...sockets, ...ledgers.map((ledger) => new HttpSender(ledger, random))];

  for (let round = 1; round <= ROUNDS; round++) {
    let left = random.whole(1, 120);
    let killed: Promise<number> | undefined;
    const acknowledged = (messages: number) => {
      left -= messages;
      // At the very moment of an acknowledgement, while the other writers are in the middle of theirs.
      if (left <= 0) killed ??= server.end("SIGKILL");
    };
    await Promise.all(senders.map((sender) => sender.run(account, acknowledged, () => killed !== undefined)));
    expect(await killed).toBe(137);
    for (const socket of sockets) socket.close();
    expect(server.output.stderr).toBe("");
    if (round % LOOK_EVERY === 0) expectSound(inspectCopy(dataDir));
    // Now and then it is killed again while it has just recovered.
    if (random.chance(0.15)) await (await start()).end("SIGKILL");
    server = await start();
    account = accountWith(server.url, token);
    for (const ledger of ledgers) await ledger.check(account);
  }

  for (const sender of senders) await sender.finish(account);
  for (const socket of sockets) socket.close();
  for (const ledger of ledgers) {
    await ledger.check(account);
    expect([...ledger.stored.keys()].sort()).toEqual(ledger.everySent.sort());
  }
  expect(await server.end("SIGTERM")).toBe(0);
  expectSound(inspect(join(dataDir, "happy.db")));
  const total = ledgers.reduce((sum, { stored }) => sum + stored.size, 0);
  console.error(`kill-9: ${ROUNDS} rounds, ${total} messages`);
}, 480_000);
