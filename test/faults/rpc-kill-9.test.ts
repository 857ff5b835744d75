// The process is killed in the middle of tasks and of calls with idempotency keys, again and again, while a ledger outside of it tells what
// really ran. No task that was acknowledged is lost; what must not run twice never did; an answer that was given is given again; and where
// nobody can know whether a call ran, that is what its caller is told.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { rounds } from "../support/full.ts";
import { type RpcAnswer, type RpcClient, rpcClient } from "../support/rpc-document-server.ts";
import { until } from "../support/until.ts";
import { type Random, seeded } from "./random.ts";
import { startProcess } from "./server-process.ts";

const ROUNDS = rounds(5, 40);
const MAIN = resolve(import.meta.dir, "../fixtures/ledger-main.ts");
const DOCUMENT = { qos: { idempotency_max_entries: 100_000 }, tasks: { ttl_s: 86_400 } };

const folder = mkdtempSync(join(tmpdir(), "roost-rpc-kill-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const ledger = join(folder, "ledger");
writeFileSync(ledger, "");
let lives = 0;

const start = () =>
  startProcess({
    dataDir: join(folder, "data"),
    command: [process.execPath, MAIN, "serve"],
    env: {
      // Each way of committing begins with what the other has left.
      ROOST_COMMIT: ++lives % 3 === 0 ? "blocking" : "pipelined",
      ROOST_LOG_LEVEL: "warn",
      ROOST_RPC_ENABLED: "true",
      ROOST_RPC_DOCUMENT: JSON.stringify(DOCUMENT),
      TEST_LEDGER: ledger,
    },
  });

type Kind = "Once" | "Again";

interface Wish {
  readonly mark: string;
  readonly kind: Kind;
  readonly ms: number;
}

/** What clients know, over all lives. */
class Clients {
  /** Of tasks that were acknowledged, by their mark. */
  readonly tasks = new Map<string, { readonly wish: Wish; readonly id: string }>();
  readonly answered = new Map<string, Wish>();
  readonly unknown = new Map<string, Wish>();
  readonly surprises: unknown[] = [];
  /** Asked, and no answer came. */
  readonly open: { tasks: Wish[]; calls: Wish[] } = { tasks: [], calls: [] };
  #next = 0;

  constructor(private readonly random: Random) {}

  wish(): Wish {
    const kind = this.random.chance(0.5) ? "Once" : "Again";
    return { mark: `m${this.#next++}`, kind, ms: this.random.whole(0, 40) };
  }

  /** @throws when the server is gone */
  async submit(client: RpcClient, wish: Wish): Promise<void> {
    const { mark, kind, ms } = wish;
    const answer = await this.#asked(this.open.tasks, wish, () =>
      client.call("TaskService/Submit", {
        target_method: `rpc.v2/LedgerService/${kind}`,
        params: { mark, ms },
        idempotency_key: mark,
        ...(kind === "Again" && { max_attempts: 100 }),
      }),
    );
    if (answer.status === 200) this.tasks.set(mark, { wish, id: answer.body.result.task_id });
    else this.#surprise(answer);
  }

  async call(client: RpcClient, wish: Wish): Promise<RpcAnswer> {
    const { mark, kind, ms } = wish;
    const answer = await this.#asked(this.open.calls, wish, () =>
      client.call(`LedgerService/${kind}`, { mark, ms }, { qos: { idempotency_key: mark } }),
    );
    const { error, result } = answer.body;
    if (error?.code === 4011 && error.details[0].reason === "outcome_unknown") this.unknown.set(mark, wish);
    else if (result?.mark === mark) this.answered.set(mark, wish);
    else this.#surprise(answer);
    return answer;
  }

  /** Until the server is gone. */
  async work(client: RpcClient): Promise<void> {
    try {
      for (;;) {
        await this.submit(client, this.wish());
        await this.call(client, this.wish());
      }
    } catch {
      // The server was killed.
    }
  }

  async #asked(open: Wish[], wish: Wish, ask: () => Promise<RpcAnswer>): Promise<RpcAnswer> {
    open.push(wish);
    const answer = await ask();
    // A server that ends says so: the caller asks again.
    if (answer.status === 503) throw new Error("the server ends");
    open.splice(open.indexOf(wish), 1);
    return answer;
  }

  #surprise({ status, body }: RpcAnswer): void {
    this.surprises.push({ status, error: body.error });
  }
}

test(
  "no crash loses a task or an answer, and none doubles what must not run twice",
  async () => {
    const random = seeded("rpc-kill-9");
    const clients = new Clients(random);
    for (let round = 0; round < ROUNDS; round++) {
      const server = await start();
      const client = rpcClient(server.url);
      // Whoever had no answer asks again, with the same key.
      for (const [open, again] of [
        [clients.open.tasks, (wish: Wish) => clients.submit(client, wish)],
        [clients.open.calls, (wish: Wish) => clients.call(client, wish)],
      ] as const)
        for (const wish of open.splice(0)) await again(wish);
      const before = clients.tasks.size + clients.answered.size;
      const working = Array.from({ length: 8 }, () => clients.work(client));
      await until(
        "something is acknowledged",
        () => clients.tasks.size + clients.answered.size > before + 10,
      );
      await Bun.sleep(random.whole(0, 200));
      await server.end("SIGKILL");
      await Promise.all(working);
    }

    const server = await start();
    const client = rpcClient(server.url);
    for (const wish of clients.open.tasks.splice(0)) await clients.submit(client, wish);
    for (const wish of clients.open.calls.splice(0)) await clients.call(client, wish);
    expect(clients.surprises).toEqual([]);

    const ends: { mark: string; kind: Kind; status: string; code: number | undefined }[] = [];
    for (const [mark, { wish, id }] of [...clients.tasks]) {
      const task = await until(`the end of ${mark}`, async () => {
        const { status, body } = await client.call("TaskService/Query", { task_id: id });
        if (status !== 200) throw new Error(`${mark} is lost: ${JSON.stringify(body.error)}`);
        return body.result.task.completed_at_ms === undefined ? undefined : body.result.task;
      });
      if (task.status === "succeeded") expect(task.result).toEqual({ mark });
      ends.push({ mark, kind: wish.kind, status: task.status, code: task.error?.code });
      if (task.status === "failed")
        expect(task.error.details[0].reason).toBe("the server restarted while the task ran");
      // The key still means this task.
      if (ends.length % 50 === 0) {
        const { tasks } = clients;
        tasks.delete(mark);
        await clients.submit(client, wish);
        expect(tasks.get(mark)?.id).toBe(id);
      }
    }
    const lines = readFileSync(ledger, "utf8").split("\n");
    const count = Map.groupBy(lines, (line) => line);
    const begun = (mark: string) => count.get(`begin ${mark}`)?.length ?? 0;
    const over = (mark: string) => count.get(`end ${mark}`)?.length ?? 0;

    for (const { mark, kind, status, code } of ends) {
      if (kind === "Again") expect([mark, status, over(mark) >= 1]).toEqual([mark, "succeeded", true]);
      else if (status === "succeeded") expect([mark, begun(mark), over(mark)]).toEqual([mark, 1, 1]);
      else expect([mark, status, code, begun(mark) <= 1]).toEqual([mark, "failed", 5002, true]);
    }
    // A method that may run twice is never in doubt.
    expect([...clients.unknown.values()].filter(({ kind }) => kind === "Again")).toEqual([]);
    for (const mark of clients.unknown.keys()) expect([mark, begun(mark) <= 1]).toEqual([mark, true]);
    for (const wish of [...clients.answered.values()]) {
      const { mark, kind } = wish;
      expect([mark, over(mark) >= 1]).toEqual([mark, true]);
      if (kind === "Once") expect([mark, begun(mark), over(mark)]).toEqual([mark, 1, 1]);
      // What was answered is answered again, and runs no further time.
      const again = await clients.call(client, wish);
      expect([mark, again.body.metadata.headers["idempotent-replay"]]).toEqual([mark, "true"]);
    }
    expect(readFileSync(ledger, "utf8").split("\n")).toHaveLength(lines.length);

    const failed = ends.filter(({ status }) => status === "failed").length;
    console.error(
      `rpc-kill-9: ${ROUNDS} kills, ${ends.length} tasks (${failed} cut), ${clients.answered.size} answers, ${clients.unknown.size} in doubt`,
    );
    // The instrument: kills did fall into both.
    expect(failed).toBeGreaterThan(0);
    expect(clients.unknown.size).toBeGreaterThan(0);
    expect(await server.end("SIGTERM")).toBe(0);
    expect(server.logged(50)).toEqual([]);
  },
  120_000 + ROUNDS * 5_000,
);
