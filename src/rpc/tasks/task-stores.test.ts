// One suite for every store of tasks: keys, versions, who comes next, leases, time, room and what is announced.
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisClient } from "bun";
import { type Redis, startRedis, withRedis } from "../../../test/support/redis.ts";
import { type TaskShape, taskAt } from "../../../test/support/task.ts";
import { until } from "../../../test/support/until.ts";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { migrations } from "../store/migrations.ts";
import { RedisLink } from "../store/redis-link.ts";
import { SqliteTasks } from "../store/sqlite-tasks.ts";
import type { Priority } from "../wire/qos.ts";
import type { RpcError } from "../wire/rpc-error.ts";
import { MemoryTasks } from "./memory-tasks.ts";
import { RedisTasks } from "./redis-tasks.ts";
import type { Task } from "./task.ts";
import { LEASE_MS, type TaskStore } from "./task-store.ts";

setDefaultTimeout(30_000);

const log = createLog("silent");
const BOUNDS = { tasks: 100, bytes: 10_000_000 };
let folder: string;
let database: Database | undefined;
let redis: Redis | undefined;
let link: RedisLink | undefined;
let heard: Task[] = [];
let now = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "roost-tasks-"));
  if (withRedis.met) redis = await startRedis();
});
afterEach(async () => {
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

const listener = { changed: (task: Task) => void heard.push(task), again: () => {} };

const kinds: readonly { readonly name: string; open(): Promise<TaskStore> }[] = [
  { name: "memory", open: async () => new MemoryTasks(listener, () => now) },
  {
    name: "SQLite",
    open: async () => {
      database = openDatabase({ path: join(folder, "rpc.db"), migrations, log });
      return new SqliteTasks({ database, listener, now: () => now });
    },
  },
  {
    name: "Redis",
    open: async () => {
      link = new RedisLink(redis?.url ?? "", log);
      const store = new RedisTasks({ link, listener });
      const client = new RedisClient(redis?.url);
      await until("the store to listen", async () => {
        const [, listeners] = (await client.send("PUBSUB", ["NUMSUB", "{roost-rpc}:tasks:changes"])) as [
          string,
          number,
        ];
        return listeners === 1;
      });
      client.close();
      return store;
    },
  },
];

const task = (id: string, shape: TaskShape = {}): Task => taskAt(now, id, shape);

const claimOne = async (store: TaskStore, owner: string) => (await store.claim(owner, 1))[0];

for (const kind of kinds) {
  const isRedis = kind.name === "Redis";
  const its = isRedis ? withRedis.test : test;
  const open = async () => {
    heard = [];
    now = Date.now();
    return kind.open();
  };
  const over = (one: Task, at = now): Task => ({
    ...one,
    status: "succeeded",
    completedAtMs: at,
    leaseOwner: null,
    leaseUntilMs: null,
  });
  const told = (count: number) =>
    until("the changes to be announced", () => (heard.length >= count ? heard : undefined));

  its(`${kind.name}: what was saved is read back whole, once for each key`, async () => {
    const store = await open();
    const one = task("a", { keyId: "k", progress: { current: 1, total: 3, percentage: 33.3 } });
    const saved = await store.save(one, '{"n":1}', BOUNDS);
    expect(saved.isNew).toBe(true);
    expect({ ...saved.task, readyAtMs: now }).toEqual(one);
    const again = await store.save(task("b", { keyId: "k" }), "{}", BOUNDS);
    expect([again.isNew, again.task.id]).toEqual([false, "a"]);
    const found = await store.get("a");
    expect({ ...found?.task, readyAtMs: now }).toEqual(one);
    expect(found?.result).toBeUndefined();
    expect(await store.get("b")).toBeUndefined();
    expect((await told(1)).map(({ id }) => id)).toEqual(["a"]);
  });

  its(`${kind.name}: only the next version is stored, and each change is announced in order`, async () => {
    const store = await open();
    const { task: first } = await store.save(task("a"), "{}", BOUNDS);
    const claimed = await claimOne(store, "me");
    expect(claimed?.params).toBe("{}");
    expect(claimed?.task).toMatchObject({ status: "running", attempt: 1, leaseOwner: "me", version: 2 });
    expect(await store.update({ ...first, status: "canceled" })).toBeUndefined();
    const progress = { current: 1, total: 2, message: "half" };
    const second = await store.update({ ...(claimed?.task ?? first), progress });
    expect(second).toMatchObject({ progress, version: 3 });
    const last = await store.update(over(second ?? first), '{"slept":50}');
    expect(last).toMatchObject({ status: "succeeded", completedAtMs: now, leaseOwner: null, version: 4 });
    expect(await store.get("a")).toMatchObject({ task: { status: "succeeded" }, result: '{"slept":50}' });
    const seen = (await told(4)).map(({ status, version }) => [status, version]);
    expect(seen).toEqual([
      ["pending", 1],
      ["running", 2],
      ["running", 3],
      ["succeeded", 4],
    ]);
    expect(await store.counts()).toMatchObject({ pending: 0, running: 0, succeeded: 1 });
  });

  its(`${kind.name}: each task is claimed once, the highest level first, and by age within one`, async () => {
    const store = await open();
    const order: [string, Priority][] = [
      ["low", 0],
      ["normal-1", 1],
      ["normal-2", 1],
      ["critical", 3],
      ["high", 2],
    ];
    for (const [id, priority] of order) {
      await store.save(task(id, { priority }), "{}", BOUNDS);
      now += 2;
      if (isRedis) await Bun.sleep(2);
    }
    const claimed: string[] = [];
    const worker = async () => {
      for (;;) {
        const next = await claimOne(store, "me");
        if (next === undefined) return;
        claimed.push(next.task.id);
      }
    };
    await worker();
    expect(claimed).toEqual(["critical", "high", "normal-1", "normal-2", "low"]);
    for (let n = 0; n < 20; n++) await store.save(task(`many-${n}`), "{}", BOUNDS);
    claimed.length = 0;
    await Promise.all(Array.from({ length: 8 }, worker));
    expect([...new Set(claimed)]).toHaveLength(20);
    expect(claimed).toHaveLength(20);
  });

  its(
    `${kind.name}: as many as are asked for are claimed at once, in the same order, and each is announced`,
    async () => {
      const store = await open();
      for (const [id, priority] of [
        ["low", 0],
        ["normal", 1],
        ["critical", 3],
      ] as const)
        await store.save(task(id, { priority }), `"of ${id}"`, BOUNDS);
      const both = await store.claim("me", 2);
      expect(both.map(({ task: { id, status, version }, params }) => [id, status, version, params])).toEqual([
        ["critical", "running", 2, '"of critical"'],
        ["normal", "running", 2, '"of normal"'],
      ]);
      expect((await store.claim("other", 5)).map(({ task: { id, leaseOwner } }) => [id, leaseOwner])).toEqual(
        [["low", "other"]],
      );
      expect(await store.claim("me", 5)).toEqual([]);
      expect((await told(6)).slice(3).map(({ id, status }) => [id, status])).toEqual([
        ["critical", "running"],
        ["normal", "running"],
        ["low", "running"],
      ]);
      expect(await store.counts()).toMatchObject({ pending: 0, running: 3 });
    },
  );

  its(`${kind.name}: whoever waits rises a level each second, up to the highest`, async () => {
    const store = await open();
    await store.save(task("old", { priority: 0 }), "{}", BOUNDS);
    now += 3_100;
    if (isRedis) await Bun.sleep(3_100);
    await store.save(task("young", { priority: 3 }), "{}", BOUNDS);
    expect((await claimOne(store, "me"))?.task.id).toBe("old");
    expect((await claimOne(store, "me"))?.task.id).toBe("young");
  });

  its(`${kind.name}: a scheduled task waits for its time, a retrying one for its pause`, async () => {
    const store = await open();
    await store.save(
      task("later", { status: "scheduled", scheduledAtMs: now + 300, readyAtMs: now + 300 }),
      "{}",
      BOUNDS,
    );
    await store.save(task("again"), "{}", BOUNDS);
    const { task: first } = (await claimOne(store, "me")) ?? { task: task("none") };
    await store.update({
      ...first,
      status: "retrying",
      updatedAtMs: now,
      nextRetryAtMs: now + 200,
      readyAtMs: now + 200,
      leaseOwner: null,
      leaseUntilMs: null,
    });
    expect(await store.wake()).toBe(0);
    expect(await claimOne(store, "me")).toBeUndefined();
    const inMs = (await store.nextInMs()) ?? Number.NaN;
    expect(inMs).toBeGreaterThan(0);
    expect(inMs).toBeLessThanOrEqual(200);
    const second = await until("the pause to be over", async () => {
      if (!isRedis) now += 50;
      return claimOne(store, "me");
    });
    expect(second.task).toMatchObject({ id: "again", status: "running", attempt: 2, nextRetryAtMs: null });
    const woken = await until("the time to come", async () => {
      if (!isRedis) now += 50;
      return (await store.wake()) === 1;
    });
    expect(woken).toBe(true);
    expect((await claimOne(store, "me"))?.task).toMatchObject({ id: "later", attempt: 1 });
    expect(await store.nextInMs()).toBeUndefined();
  });

  its(`${kind.name}: a lease of an earlier process is over at once, another's when its time is`, async () => {
    const store = await open();
    for (const id of ["a", "b"]) await store.save(task(id), "{}", BOUNDS);
    await claimOne(store, "me");
    await claimOne(store, "other");
    const ids = async (owner: string, known: string[]) =>
      (await store.lapsed(owner, known)).map(({ id }) => id).sort();
    expect(await ids("me", [])).toEqual(["a"]);
    expect(await ids("me", ["a"])).toEqual([]);
    if (isRedis) return;
    now += LEASE_MS - 1;
    await store.renew("me", ["a", "b"]);
    now += 2;
    expect(await ids("me", ["a"])).toEqual(["b"]);
    // A clock that goes back a day holds no lease for a day.
    now -= 86_400_000;
    expect(await ids("me", ["a"])).toEqual(["b"]);
  });

  its(`${kind.name}: finished tasks make room, oldest first; without one there is none`, async () => {
    const store = await open();
    const few = { tasks: 10, bytes: 10_000_000 };
    for (let n = 0; n < 10; n++) {
      await store.save(task(`t${n}`), "{}", few);
      if (n > 3) continue;
      const { task: claimed } = (await claimOne(store, "me")) ?? { task: task("none") };
      await store.update(over(claimed, now + n), "1");
    }
    expect((await store.save(task("new"), "{}", few)).isNew).toBe(true);
    expect(await store.get("t0")).toBeUndefined();
    expect(await store.get("t1")).toBeDefined();
    const full = await store
      .save(task("more"), "{}", { tasks: 3, bytes: 10_000_000 })
      .catch((e: unknown) => e);
    expect((full as RpcError).code).toBe(5021);
    const large = await store.save(task("large", { bytes: 20_000_000 }), "{}", few).catch((e: unknown) => e);
    expect((large as RpcError).code).toBe(5021);
  });

  its(
    `${kind.name}: a result makes room among finished tasks, oldest first, and is itself never refused`,
    async () => {
      const store = await open();
      const held = { tasks: 100, bytes: 300_000 };
      const result = JSON.stringify("x".repeat(90_000));
      for (let n = 0; n < 8; n++) {
        await store.save(task(`t${n}`, { bytes: 1_000, keyId: `k${n}` }), "{}", held);
        const { task: claimed } = (await claimOne(store, "me")) ?? { task: task("none") };
        await store.update(over(claimed, now + n), result, held);
      }
      const there = async () => {
        const found: string[] = [];
        for (let n = 0; n < 10; n++) if ((await store.get(`t${n}`)) !== undefined) found.push(`t${n}`);
        return found;
      };
      expect(await there()).toEqual(["t5", "t6", "t7"]);
      expect((await store.get("t7"))?.result).toBe(result);
      // What waits is nobody's to remove, and what a task returned is kept all the same.
      await store.save(task("t8", { bytes: 1_000 }), "{}", held);
      const { task: last } = (await claimOne(store, "me")) ?? { task: task("none") };
      await store.save(task("t9", { bytes: 200_000 }), "{}", held);
      expect(await there()).toEqual(["t8", "t9"]);
      const large = JSON.stringify("x".repeat(200_000));
      await store.update(over(last, now + 9), large, held);
      expect((await store.get("t8"))?.result).toBe(large);
      expect((await store.save(task("anew", { keyId: "k0" }), "{}", BOUNDS)).isNew).toBe(true);
    },
  );

  const few = { tasks: 80, bytes: 10_000_000 };
  const of = (tenant: string, id: string, bytes = 1_100) => task(id, { holder: `tenant/${tenant}`, bytes });
  /** How many more of them there may be. */
  const filled = async (store: TaskStore, tenant: string, bounds: typeof BOUNDS, bytes?: number) => {
    for (let n = 0; ; n++) {
      const refused = await store.save(of(tenant, `${tenant}-${now}-${n}`, bytes), "{}", bounds).then(
        () => undefined,
        (error: RpcError) => error.code,
      );
      if (refused !== undefined) return [n, refused];
    }
  };
  const ended = async (store: TaskStore, one: Task, result = "1") => {
    await store.save(one, "{}", few);
    await store.update(over(one, now++), result, few);
  };
  const held = async (store: TaskStore, ids: readonly string[]) => {
    const found: string[] = [];
    for (const id of ids) if ((await store.get(id)) !== undefined) found.push(id);
    return found;
  };

  its(`${kind.name}: tasks that are not over of one tenant leave room for another's`, async () => {
    const store = await open();
    expect(await filled(store, "busy", few)).toEqual([70, 5021]);
    expect(await filled(store, "other", few)).toEqual([9, 5021]);
    expect(await filled(store, "third", few)).toEqual([1, 5021]);
    for (const one of await store.list("pending", 20)) {
      expect(one.holder).toBe("tenant/busy");
      await store.update(over(one), "1");
    }
    now++;
    expect(await filled(store, "third", few)).toEqual([18, 5021]);
  });

  its(`${kind.name}: their bytes leave room too, and one that is too large pushes nothing out`, async () => {
    const store = await open();
    const bounds = { tasks: 1_000, bytes: 160_000 };
    await ended(store, of("victim", "v"));
    expect(await filled(store, "busy", bounds, 10_000)).toEqual([14, 5021]);
    expect(await held(store, ["v"])).toEqual(["v"]);
    expect(await filled(store, "other", bounds, 10_000)).toEqual([2, 5021]);
  });

  its(`${kind.name}: finished tasks go of whoever holds the most, its oldest first`, async () => {
    const store = await open();
    for (const id of ["v0", "v1"]) await ended(store, of("victim", id, 50_000));
    for (let n = 0; n < 78; n++) await ended(store, of("busy", `b${n}`));
    await ended(store, of("busy", "more"));
    expect(await held(store, ["v0", "v1", "b0", "b7", "b8", "more"])).toEqual(["v0", "v1", "b8", "more"]);
    // A newcomer takes from the same, until it has as much.
    for (let n = 0; n < 60; n++) await ended(store, of("new", `n${n}`));
    expect(await held(store, ["v0", "v1", "n59"])).toEqual(["v0", "v1", "n59"]);
    const those = (name: string) => Array.from({ length: 80 }, (_, n) => `${name}${n}`);
    const [busy, fresh] = [(await held(store, those("b"))).length, (await held(store, those("n"))).length];
    expect(Math.abs(busy - fresh)).toBeLessThan(10);
  });

  its(`${kind.name}: of results the one with the most bytes gives`, async () => {
    const store = await open();
    const bounds = { tasks: 1_000, bytes: 400_000 };
    for (let n = 0; n < 50; n++) await ended(store, of("small", `s${n}`));
    for (let n = 0; n < 5; n++) {
      const one = of("large", `l${n}`);
      await store.save(one, "{}", bounds);
      await store.update(over(one, now++), JSON.stringify("x".repeat(90_000)), bounds);
    }
    expect(await held(store, ["s0", "s49", "l0", "l1", "l2", "l4"])).toEqual(["s0", "s49", "l2", "l4"]);
  });

  its(`${kind.name}: finished tasks go when they were kept for long enough`, async () => {
    const store = await open();
    for (const [id, ttlMs] of [
      ["short", 1_000],
      ["long", 100_000],
    ] as const) {
      await store.save(task(id, { ttlMs, keyId: id }), "{}", BOUNDS);
      const { task: claimed } = (await claimOne(store, "me")) ?? { task: task("none") };
      await store.update(over(claimed), "1");
    }
    expect(await store.newestCompleted(now)).toBe(now);
    expect(await store.newestCompleted(now - 1)).toBeUndefined();
    expect(store.shortestTtlMs()).toBe(1_000);
    expect(await store.removeExpired(now + 999)).toBe(0);
    const [old] = await store.expired(now + 1_000);
    expect(old).toMatchObject({ tenant: "acme", count: 1 });
    expect(await store.removeExpired(now + 1_000)).toBe(1);
    expect(await store.get("short")).toBeUndefined();
    expect(await store.get("long")).toBeDefined();
    expect((await store.save(task("anew", { keyId: "short" }), "{}", BOUNDS)).isNew).toBe(true);
  });

  its(`${kind.name}: tasks of one status are listed as they were submitted`, async () => {
    const store = await open();
    for (const id of ["c", "a", "b"]) await store.save(task(id), "{}", BOUNDS);
    expect((await store.list("pending", 2)).map(({ id }) => id)).toEqual(["c", "a"]);
    expect(await store.list("failed", 2)).toEqual([]);
  });
}

withRedis.test(
  "all of them: the same tasks go, whatever comes, and who has nothing left is forgotten",
  async () => {
    heard = [];
    now = Date.now();
    const bounds = { tasks: 30, bytes: 60_000 };
    const stores: TaskStore[] = [];
    for (const { open } of kinds) stores.push(await open());
    let seed = 11;
    const next = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const all = async <T>(work: (store: TaskStore) => Promise<T>) => {
      const said: unknown[] = [];
      for (const store of stores) said.push(await work(store).catch((error: RpcError) => error.code));
      expect(said).toEqual(stores.map(() => said[0]));
      return said[0];
    };
    const waiting: string[] = [];
    for (let step = 0; step < 500; step++) {
      now++;
      const one = task(`t${step}`, {
        holder: `tenant/${Math.floor(Math.sqrt(next(25)))}`,
        bytes: 1_024 + next(1_000),
      });
      const saved = await all(async (store) => (await store.save(one, "{}", bounds)).isNew);
      if (saved === true) waiting.push(one.id);
      if (next(4) === 0) continue;
      const id = waiting.splice(next(waiting.length), 1)[0] ?? "none";
      const result = JSON.stringify("x".repeat(next(5_000)));
      await all(async (store) => {
        const found = await store.get(id);
        if (found === undefined) return "gone";
        const stored = await store.update(
          { ...found.task, status: "succeeded", completedAtMs: now },
          result,
          bounds,
        );
        return stored?.bytes;
      });
      if (step % 25 === 0)
        await all(async (store) => {
          const there: string[] = [];
          for (let n = 0; n <= step; n++) if ((await store.get(`t${n}`)) !== undefined) there.push(`t${n}`);
          return there;
        });
    }
    const client = new RedisClient(redis?.url);
    const rows = (text: string) =>
      (database as Database).writer.run((db) => db.$client.query(text).values() as unknown[][]);
    const sums = await rows(
      "SELECT holder, entries, bytes, firm, firm_bytes FROM rpc_task_holders ORDER BY holder",
    );
    expect(sums).toEqual(
      await rows(
        `SELECT holder, count(*), sum(bytes), sum(completed_at_ms IS NULL), sum(bytes * (completed_at_ms IS NULL))
       FROM rpc_tasks GROUP BY holder ORDER BY holder`,
      ),
    );
    const hash = async (name: string) =>
      (await client.send("HGETALL", [`{roost-rpc}:tasks:shares:${name}`])) as Record<string, string>;
    expect(Object.entries(await hash("bytes")).toSorted()).toEqual(
      sums.map(([holder, , bytes]) => [String(holder), String(bytes)]),
    );
    for (const id of waiting) {
      await all(async (store) => {
        const found = await store.get(id);
        if (found !== undefined)
          await store.update({ ...found.task, status: "canceled", completedAtMs: now });
      });
    }
    for (const store of stores) while ((await store.removeExpired(now + 1_000_000)) > 0);
    expect(await rows("SELECT count(*) FROM rpc_task_holders")).toEqual([[0]]);
    const left = (await client.send("KEYS", ["*"])) as string[];
    expect(left.filter((key) => /over:|entries|heard|shares:bytes|order$/.test(key))).toEqual([]);
    expect(await hash("firm")).toEqual({ "*": "0" });
    client.close();
  },
);
