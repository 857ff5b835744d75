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
import { type CallStore, ENTRY_BYTES } from "./call-store.ts";
import { MemoryCalls } from "./memory-calls.ts";
import { RedisCalls } from "./redis-calls.ts";

setDefaultTimeout(30_000);

const log = createLog("silent");
const bounds = { entries: 100, bytes: 1_000_000 };
const holder = "tenant/acme";
const call = (id: string, isIdempotent = false, ttlMs = 60_000) => ({
  ...{ id, hash: "h", holder, isIdempotent, ttlMs },
});
const done = (id: string, answer: string | undefined = "{}", ttlMs = 60_000) => ({
  id,
  hash: "h",
  holder,
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
    await store.complete({ id: "a", hash: "h", holder, answer: undefined, ttlMs: 60_000 });
    expect(await store.begin(call("a"))).toEqual({ kind: "done", hash: "h", answer: undefined });
  });

  its(`${kind.name}: a key ends with its time`, async () => {
    const store = await open();
    await store.begin(call("a"));
    await store.complete(done("a", "{}", 150));
    expect(await store.begin(call("a"))).toMatchObject({ kind: "done" });
    await until("the key to end", async () => (await store.begin(call("a"))).kind === "begun");
    // It failed this time: what was answered before its end is not answered again.
    await store.release("a");
    expect(await store.begin(call("a"))).toEqual({ kind: "begun" });
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

  const as = (tenant: string, id: string) => ({ ...call(id), holder: `tenant/${tenant}` });
  const answered = async (store: CallStore, tenant: string, id: string, answer = "{}") => {
    await store.begin(as(tenant, id));
    await store.complete({ ...done(id, answer), holder: `tenant/${tenant}` });
  };
  const kindOf = (store: CallStore, id: string) =>
    store.begin({ ...call(id, true), holder: "tenant/asks" }).then(({ kind }) => kind);

  its(`${kind.name}: a tenant that answers a lot pushes its own answers out, not another's`, async () => {
    const store = await open("first", { entries: 8, bytes: 1_000_000 });
    for (const id of ["v1", "v2"]) await answered(store, "victim", id);
    for (let n = 0; n < 20; n++) await answered(store, "busy", `b${n}`);
    for (const id of ["v1", "v2", "b14", "b19"]) expect([id, await kindOf(store, id)]).toEqual([id, "done"]);
    // Who comes takes from who has the most, until it has as much.
    for (let n = 0; n < 10; n++) await answered(store, "new", `n${n}`);
    for (const id of ["v1", "v2", "b18", "n7", "n9"])
      expect([id, await kindOf(store, id)]).toEqual([id, "done"]);
  });

  its(`${kind.name}: of bytes the one with the most gives, whatever the numbers are`, async () => {
    const store = await open("first", { entries: 100, bytes: 20_000 });
    for (let n = 0; n < 9; n++) await answered(store, "small", `s${n}`);
    const large = JSON.stringify("x".repeat(4_000));
    for (let n = 0; n < 6; n++) await answered(store, "large", `l${n}`, large);
    for (const id of ["s0", "s8", "l5"]) expect([id, await kindOf(store, id)]).toEqual([id, "done"]);
    expect(await kindOf(store, "l0")).toBe("begun");
  });

  its(`${kind.name}: among equals the one gives that was not heard of for the longest time`, async () => {
    const store = await open("first", { entries: 3, bytes: 1_000_000 });
    for (const tenant of ["x", "y", "z"]) await answered(store, tenant, tenant);
    expect(await kindOf(store, "x")).toBe("done");
    await answered(store, "w", "w");
    for (const id of ["x", "z", "w"]) expect([id, await kindOf(store, id)]).toEqual([id, "done"]);
    expect(await kindOf(store, "y")).toBe("begun");
  });

  its(`${kind.name}: calls that run of one tenant leave room for another's`, async () => {
    const store = await open("first", { entries: 16, bytes: 1_000_000 });
    const begun = async (tenant: string) => {
      for (let n = 0; ; n++) {
        const refused = await store.begin(as(tenant, `${tenant}${n}`)).then(
          () => undefined,
          (error: RpcError) => error.code,
        );
        if (refused !== undefined) return [n, refused];
      }
    };
    expect(await begun("busy")).toEqual([14, 5021]);
    expect(await begun("other")).toEqual([2, 5021]);
    for (let n = 0; n < 8; n++) await store.release(`busy${n}`);
    expect(await begun("third")).toEqual([7, 5021]);
  });

  its(`${kind.name}: bytes of calls that run leave room for another's`, async () => {
    const store = await open("first", { entries: 1_000, bytes: 16 * ENTRY_BYTES });
    let n = 0;
    while (
      await store.begin(as("busy", `b${n}`)).then(
        () => true,
        () => false,
      )
    )
      n++;
    expect(n).toBe(14);
    expect(await store.begin(as("other", "o"))).toEqual({ kind: "begun" });
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

withRedis.test(
  "all of them: the same goes, whatever comes, and who has nothing left is forgotten",
  async () => {
    const own = { entries: 24, bytes: 30_000 };
    const stores: CallStore[] = [];
    for (const { open } of kinds) stores.push(await open("first", own));
    opened.push(...stores);
    let seed = 7;
    const next = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const all = async (work: (store: CallStore) => Promise<unknown>) => {
      const said: unknown[] = [];
      for (const store of stores) said.push(await work(store).catch((error: RpcError) => error.code));
      expect(said).toEqual(stores.map(() => said[0]));
      return said[0];
    };
    const running = new Map<string, string>();
    for (let step = 0; step < 600; step++) {
      const tenant = `tenant/${Math.floor(Math.sqrt(next(25)))}`;
      const id = `${tenant}-${next(20)}`;
      const begun = await all((store) => store.begin({ ...call(id), holder: tenant }));
      if ((begun as { kind?: string }).kind === "begun") running.set(id, tenant);
      if (next(4) === 0) continue;
      const [settled] = running;
      if (settled === undefined) continue;
      running.delete(settled[0]);
      const answer = JSON.stringify("x".repeat(next(3_000)));
      if (next(5) === 0) await all((store) => store.release(settled[0]));
      else await all((store) => store.complete({ ...done(settled[0], answer), holder: settled[1] }));
    }
    const client = new RedisClient(redis?.url);
    const rows = (text: string) => database?.writer.run((db) => db.$client.query(text).values());
    const counted = "count(*), sum(bytes), sum(1 - is_done), sum(bytes * (1 - is_done))";
    expect(
      await rows("SELECT holder, entries, bytes, firm, firm_bytes FROM rpc_call_holders ORDER BY holder"),
    ).toEqual(await rows(`SELECT holder, ${counted} FROM rpc_calls GROUP BY holder ORDER BY holder`));
    expect(await rows("SELECT entries, bytes, firm, firm_bytes FROM rpc_call_sums")).toEqual(
      await rows(`SELECT ${counted} FROM rpc_calls`),
    );
    const sums = await rows("SELECT holder, entries FROM rpc_call_holders ORDER BY holder");
    const hash = (await client.send("HGETALL", ["{roost-rpc}:calls:entries"])) as Record<string, string>;
    expect(Object.entries(hash).toSorted()).toEqual(
      (sums as [string, number][]).map(([name, entries]) => [name, String(entries)]),
    );
    const ids = (await rows("SELECT id, hash, holder FROM rpc_calls")) as [string, string, string][];
    for (const [id] of ids) await all((store) => store.release(id));
    // What is done ends with its time.
    await rows("UPDATE rpc_calls SET expires_at_ms = 0");
    for (const [id, , name] of ids) {
      const [, redisStore] = stores.slice(1);
      await redisStore?.complete({ ...done(id, "{}", 1), holder: name });
    }
    await Bun.sleep(5);
    for (const store of stores.slice(1)) await store.removeExpired();
    expect(await rows("SELECT count(*) FROM rpc_call_holders")).toEqual([[0]]);
    expect(await rows("SELECT entries, bytes, firm, firm_bytes FROM rpc_call_sums")).toEqual([[0, 0, 0, 0]]);
    const left = (await client.send("KEYS", ["*"])) as string[];
    const firm = await client.send("HGETALL", ["{roost-rpc}:calls:firm"]);
    client.close();
    expect(left.filter((key) => /done:|entries|heard|held|end$/.test(key))).toEqual([]);
    expect(firm).toEqual({ "*": "0" });
  },
);

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
