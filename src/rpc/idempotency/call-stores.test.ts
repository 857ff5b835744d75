// One suite for every store of answers: marks, answers, what goes when there is no room, time, and what a crash leaves behind.
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { type Redis, startRedis, withRedis } from "../../../test/support/redis.ts";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { migrations } from "../store/migrations.ts";
import { RedisLink } from "../store/redis-link.ts";
import { openSqliteCalls } from "../store/sqlite-calls.ts";
import { RpcError } from "../wire/rpc-error.ts";
import type { CallStore } from "./call-store.ts";
import { MemoryCalls } from "./memory-calls.ts";
import { RedisCalls } from "./redis-calls.ts";

setDefaultTimeout(30_000);

const log = createLog("silent");
const bounds = { entries: 100, bytes: 1_000_000 };
const call = (id: string, isIdempotent = false, ttlMs = 60_000) => ({ id, hash: "h", isIdempotent, ttlMs });
const done = (id: string, answer: string | undefined = "{}", ttlMs = 60_000) => ({
  id,
  hash: "h",
  answer,
  ttlMs,
});

interface Kind {
  readonly name: string;
  /** Outlives its process. */
  readonly isKept: boolean;
  /** `run` names a process of the same data folder. */
  open(run: string, own?: typeof bounds): Promise<CallStore>;
}

const opened: CallStore[] = [];
let folder: string;
let database: Database | undefined;
let redis: Redis | undefined;
let link: RedisLink | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-calls-"));
  if (withRedis.met) redis = await startRedis();
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  link?.close();
  link = undefined;
  await database?.close();
  database = undefined;
  rmSync(join(folder, "rpc.db"), { force: true });
  await redis?.empty();
});
afterAll(async () => {
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const kinds: readonly Kind[] = [
  { name: "memory", isKept: false, open: async (_run, own = bounds) => new MemoryCalls(() => own) },
  {
    name: "SQLite",
    isKept: true,
    open: async (run, own = bounds) => {
      await database?.close();
      database = openDatabase({ path: join(folder, "rpc.db"), migrations, log });
      return openSqliteCalls({ database, bounds: () => own, run });
    },
  },
  {
    name: "Redis",
    isKept: true,
    open: async (run, own = bounds) => {
      link ??= new RedisLink(redis?.url ?? "", log);
      return new RedisCalls({ link, bounds: () => own, run, node: "node" });
    },
  },
];

for (const kind of kinds) {
  const its = kind.name === "Redis" ? withRedis.test : test;
  const open = async (run = "first", own?: typeof bounds) => {
    const store = await kind.open(run, own);
    opened.push(store);
    return store;
  };

  its(`${kind.name}: a key is begun once, and gives its answer after that`, async () => {
    const store = await open();
    expect(await store.begin(call("a"))).toEqual({ kind: "begun" });
    expect(await store.begin(call("a"))).toEqual({ kind: "unknown", hash: "h" });
    await store.complete(done("a", '{"n":"ä"}'));
    expect(await store.begin(call("a"))).toEqual({ kind: "done", hash: "h", answer: '{"n":"ä"}' });
    expect(await store.begin(call("a", true))).toEqual({ kind: "done", hash: "h", answer: '{"n":"ä"}' });
    expect(await store.begin(call("b"))).toEqual({ kind: "begun" });
  });

  its(`${kind.name}: a key that was released begins again`, async () => {
    const store = await open();
    await store.begin(call("a"));
    await store.release("a");
    await store.release("never");
    expect(await store.begin(call("a"))).toEqual({ kind: "begun" });
    await store.complete(done("a"));
    await store.release("a");
    expect(await store.begin(call("a"))).toMatchObject({ kind: "done" });
  });

  its(`${kind.name}: what was answered and is too large to keep is known to have been answered`, async () => {
    const store = await open();
    await store.begin(call("a"));
    await store.complete({ id: "a", hash: "h", answer: undefined, ttlMs: 60_000 });
    expect(await store.begin(call("a"))).toEqual({ kind: "done", hash: "h", answer: undefined });
  });

  its(`${kind.name}: a key ends with its time`, async () => {
    const store = await open();
    await store.begin(call("a"));
    await store.complete(done("a", "{}", 150));
    expect(await store.begin(call("a"))).toMatchObject({ kind: "done" });
    await until("the key to end", async () => (await store.begin(call("a"))).kind === "begun");
    await store.release("a");
    await store.complete(done("b", "{}", 1));
    await store.complete(done("c"));
    await Bun.sleep(5);
    await store.removeExpired();
    expect(await store.begin(call("c"))).toMatchObject({ kind: "done" });
    expect(await store.removeExpired()).toBe(0);
  });

  its(
    `${kind.name}: the least used answer goes when there are too many, a call that runs never`,
    async () => {
      const store = await open("first", { entries: 3, bytes: 1_000_000 });
      await store.begin(call("runs"));
      for (const id of ["a", "b"]) {
        await store.begin(call(id));
        await store.complete(done(id, `"${id}"`));
      }
      // Used again, and so younger than b.
      expect(await store.begin(call("a"))).toMatchObject({ kind: "done" });
      await store.begin(call("c"));
      await store.complete(done("c"));
      expect(await store.begin(call("a", true))).toMatchObject({ kind: "done" });
      expect(await store.begin(call("c", true))).toMatchObject({ kind: "done" });
      expect(await store.begin(call("runs"))).toMatchObject({ kind: "unknown" });
      expect(await store.begin(call("b", true))).toEqual({ kind: "begun" });
    },
  );

  its(`${kind.name}: only calls that run: one more is refused, and a finished one makes room`, async () => {
    const store = await open("first", { entries: 2, bytes: 1_000_000 });
    await store.begin(call("a"));
    await store.begin(call("b"));
    const refused = await store.begin(call("c")).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RpcError);
    expect((refused as RpcError).code).toBe(5021);
    await store.complete(done("a"));
    expect(await store.begin(call("c"))).toEqual({ kind: "begun" });
  });

  its(`${kind.name}: bytes are bounded, whatever the number`, async () => {
    const store = await open("first", { entries: 100, bytes: 10_000 });
    for (const id of ["a", "b", "c"]) {
      await store.begin(call(id));
      await store.complete(done(id, JSON.stringify("x".repeat(4_000))));
    }
    expect(await store.begin(call("a", true))).toEqual({ kind: "begun" });
    expect(await store.begin(call("b", true))).toMatchObject({ kind: "done" });
    expect(await store.begin(call("c", true))).toMatchObject({ kind: "done" });
  });

  if (!kind.isKept) continue;

  its(
    `${kind.name}: after a crash an answer is there, and a call that ran is not known to have run`,
    async () => {
      const before = await open();
      await before.begin(call("answered"));
      await before.complete(done("answered", '"yes"'));
      await before.begin(call("ran"));
      await before.begin(call("may run twice", true));
      const after = await open("second");
      expect(await after.begin(call("answered"))).toEqual({ kind: "done", hash: "h", answer: '"yes"' });
      expect(await after.begin(call("ran"))).toEqual({ kind: "unknown", hash: "h" });
      expect(await after.begin(call("may run twice", true))).toEqual({ kind: "begun" });
    },
  );
}

test("SQLite: a clock that is a day off at the next start ends nothing early and keeps nothing for a day", async () => {
  const day = 86_400_000;
  const open = async (now: () => number) => {
    await database?.close();
    database = openDatabase({ path: join(folder, "rpc.db"), migrations, log });
    const store = await openSqliteCalls({ database, bounds: () => bounds, run: crypto.randomUUID(), now });
    opened.push(store);
    return store;
  };
  let at = 1_000_000_000_000;
  const first = await open(() => at);
  await first.begin(call("a"));
  await first.complete(done("a"));
  const ahead = await open(() => at + day);
  expect(await ahead.begin(call("a"))).toMatchObject({ kind: "done" });
  const behind = await open(() => at - day);
  expect(await behind.begin(call("a"))).toMatchObject({ kind: "done" });
  at += 60_001;
  expect(await behind.begin(call("a"))).toEqual({ kind: "begun" });
});

withRedis.test(
  "Redis: another server is told that a call runs, hears its answer, and how a server died",
  async () => {
    link = new RedisLink(redis?.url ?? "", log);
    const one = new RedisCalls({ link, bounds: () => bounds, run: "one", node: "node-1" });
    const two = new RedisCalls({ link, bounds: () => bounds, run: "two", node: "node-2" });
    opened.push(one, two);
    await one.begin(call("a"));
    expect(await two.begin(call("a"))).toEqual({ kind: "running", hash: "h" });
    await one.complete(done("a", '"one"'));
    expect(await two.begin(call("a"))).toEqual({ kind: "done", hash: "h", answer: '"one"' });
    for (const id of ["b", "c"]) await one.begin(call(id));
    const client = new RedisClient(redis?.url);
    for (const id of ["b", "c"]) await client.send("HSET", [`{roost-rpc}:call:${id}`, "lease", "1"]);
    client.close();
    expect(await two.begin(call("b"))).toEqual({ kind: "unknown", hash: "h" });
    expect(await two.begin(call("c", true))).toEqual({ kind: "begun" });
  },
);

withRedis.test("Redis: away is 6002 within seconds, and back without a restart", async () => {
  link = new RedisLink(redis?.url ?? "", log);
  const store = new RedisCalls({ link, bounds: () => bounds, run: "one", node: "node-1" });
  opened.push(store);
  await store.begin(call("a"));
  const code = () =>
    store.begin(call("b")).then(
      () => undefined,
      (error: RpcError) => error.code,
    );
  redis?.pause();
  expect(await code()).toBe(6002);
  redis?.resume();
  await until("Redis to be asked again", async () => (await code()) === undefined);
  await redis?.kill();
  expect(await code()).toBe(6002);
  await redis?.start();
  await until("Redis to be asked again", async () => (await code()) === undefined);
});
