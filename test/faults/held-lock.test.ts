// Another program holds SQLite's write lock. Reads and pings go on as if nothing were, a write waits for up to five seconds in its
// place, then it is refused in a sentence that names the cause; nothing of it is stored, and nothing overtakes anything.
import { expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { type Account, newAccount } from "../support/happy-client.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { holdLock, type LockHolder } from "../support/lock-holder.ts";
import { refusedProcess, startProcess } from "./server-process.ts";

const BOUND_MS = 60_000;
const REFUSAL =
  "Another program holds the write lock of happy.db: nothing was stored. Try again when it has finished.";

const { freshFolder, started, undo } = nothingLeftBehind("held");

async function hold(path: string, begin?: string): Promise<LockHolder> {
  const holder = await holdLock(path, begin);
  undo(() => holder.release());
  return holder;
}

async function scene() {
  const dataDir = freshFolder();
  const server = await started(dataDir, { ROOST_RATE_LIMITS: "false" });
  const account = await newAccount(server.url);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const sid: string = body.session.id;
  const post = (localId: string) =>
    account.call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content: "c", localId }] });
  const stored = async () => {
    const page = await account.call("GET", `/v3/sessions/${sid}/messages?limit=500`);
    return page.body.messages.map(({ localId }: { localId: string }) => localId) as string[];
  };
  return { server, account, sid, post, stored, path: join(dataDir, "happy.db") };
}

/** Asks again and again; how long each answer took, in order of size. */
async function readWhile(account: Account, goesOn: () => boolean): Promise<number[]> {
  const took: number[] = [];
  while (goesOn()) {
    const began = performance.now();
    for (const path of ["/health", "/v1/sessions"])
      expect((await account.call("GET", path)).status).toBe(200);
    took.push((performance.now() - began) / 2);
    await Bun.sleep(20);
  }
  return took.sort((a, b) => a - b);
}

test(
  "for nine seconds: reads and pings go on, what came early is refused, what came late is stored, in order",
  async () => {
    const { server, account, sid, post, stored, path } = await scene();
    const phone = await account.connect();
    const cli = await account.connect({ clientType: "session-scoped", sessionId: sid });
    const holder = await hold(path);
    const heldAt = performance.now();
    const since = () => performance.now() - heldAt;
    let reading = true;
    const reads = readWhile(account, () => reading);
    const early = ["early-1", "early-2"].map(async (localId) => ({
      answer: await post(localId),
      ms: since(),
    }));
    await phone.settled();
    expect(since()).toBeLessThan(2_000);
    const ready = await fetch(`${server.url}/ready`);
    expect([ready.status, await ready.json()]).toMatchObject([503, { problems: { happy: REFUSAL } }]);

    for (const { answer, ms } of await Promise.all(early)) {
      expect(answer.status).toBe(503);
      expect(answer.body).toEqual({ error: "Service Unavailable", message: REFUSAL, statusCode: 503 });
      expect(ms).toBeGreaterThan(4_900);
      expect(ms).toBeLessThan(7_000);
    }
    await phone.settled();
    const late = [post("late-1")];
    for (const localId of ["late-2", "late-3"]) cli.socket.emit("message", { sid, message: "c", localId });
    const barrier = cli.settled();
    await Bun.sleep(Math.max(0, 9_000 - since()));
    await holder.release();
    expect((await Promise.all(late)).map(({ status }) => status)).toEqual([200]);
    await barrier;
    reading = false;
    const took = await reads;
    const p99 = took[Math.floor(took.length * 0.99)] ?? 0;
    console.error(`held-lock: ${took.length} reads while it was held, p99 ${p99.toFixed(1)} ms`);
    expect(p99).toBeLessThan(1_000);
    expect((await stored()).sort()).toEqual(["late-1", "late-2", "late-3"]);
    await phone.settled();
    expect(phone.updates.map(({ body }) => body.message?.seq)).toEqual([1, 2, 3]);
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    const said = server.logged(30).map(({ msg }) => msg);
    expect(said).toContain("another program holds the write lock; writes wait for it");
    expect(said).toContain("the write lock is free again; writes go on");
    expect(said).not.toContain("a request ended in an unexpected error");
  },
  BOUND_MS,
);

for (const begin of ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
  test(
    `for two seconds by ${begin}: every write waits, and is stored in the order in which it came`,
    async () => {
      const { account, sid, stored, path } = await scene();
      const cli = await account.connect({ clientType: "session-scoped", sessionId: sid });
      const holder = await hold(path, begin);
      const heldAt = performance.now();
      const names = Array.from({ length: 500 }, (_, index) => `m${index}`);
      for (const localId of names) cli.socket.emit("message", { sid, message: "c", localId });
      const barrier = cli.settled().then(() => performance.now() - heldAt);
      const took = await readWhile(account, () => performance.now() - heldAt < 2_000);
      await holder.release();
      expect(took.at(-1)).toBeLessThan(1_000);
      expect(await barrier).toBeGreaterThan(1_900);
      expect(await stored()).toEqual(names);
    },
    BOUND_MS,
  );

test(
  "a message over a socket that is refused ends its connection, and nothing that came after it is stored",
  async () => {
    const { account, sid, post, stored, path } = await scene();
    const phone = await account.connect();
    const cli = await account.connect({ clientType: "session-scoped", sessionId: sid });
    const holder = await hold(path);
    const gone = new Promise<string>((resolve) => cli.socket.once("disconnect", resolve));
    cli.socket.emit("message", { sid, message: "c", localId: "first" });
    const update = cli
      .ask("update-metadata", { sid, metadata: "m2", expectedVersion: 0 })
      .catch(() => "gone");
    await Bun.sleep(3_000);
    cli.socket.emit("message", { sid, message: "c", localId: "second" });
    expect(await gone).toBe("transport close");
    await holder.release();
    expect([{ result: "error" }, "gone"]).toContainEqual(await update);
    expect((await post("third")).status).toBe(200);
    expect(await stored()).toEqual(["third"]);
    expect(phone.socket.connected).toBe(true);
  },
  BOUND_MS,
);

test(
  "a start beside a program that holds the lock: refused in a sentence where the schema must change, else it serves",
  async () => {
    const dataDir = freshFolder();
    const path = join(dataDir, "happy.db");
    copyFileSync(join(import.meta.dir, "../fixtures/happy-v1.db"), path);
    const env = { HANDY_MASTER_SECRET: "first" };
    const migrating = await hold(path);
    expect(await refusedProcess({ dataDir, env })).toEqual({
      code: 1,
      stdout: "",
      stderr: `roost: Another program holds the database ${path}. End it, then start again.\n`,
    });
    await migrating.release();
    const server = await startProcess({ dataDir, env });
    await server.end("SIGTERM");
    const holder = await hold(path);
    const again = await started(dataDir, env);
    expect((await fetch(`${again.url}/health`)).status).toBe(200);
    await holder.release();
    expect((await newAccount(again.url)).id).toBeString();
  },
  BOUND_MS,
);
