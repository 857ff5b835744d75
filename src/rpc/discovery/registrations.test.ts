// Registrations on disk and between nodes: what is acknowledged is there after a restart, nobody sees it before, and the last word counts.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NO_COUNTERS } from "../../../test/support/hub-node.ts";
import { documentFrom } from "../../../test/support/rpc-call.ts";
import { until } from "../../../test/support/until.ts";
import { MemoryExchange } from "../../bus/memory.ts";
import { createLog } from "../../observability/log.ts";
import { type Database, openDatabase } from "../../storage/database.ts";
import { migrations } from "../store/migrations.ts";
import { SqliteInstances } from "../store/sqlite-instances.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { registration } from "./instance.ts";
import { InstanceNews } from "./instance-news.ts";
import { type Change, type Entry, expiresAtMs, Instances } from "./instances.ts";
import { Registrations } from "./registrations.ts";

setDefaultTimeout(30_000);
const log = createLog("silent");
const { discovery } = documentFrom();
const instance = (id: string, more: Record<string, unknown> = {}) =>
  registration.parse({ instance_id: id, service_name: "Pay", host: "127.0.0.1", port: 80, ...more });

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "roost-instances-"));
  cleanup.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** What one process has of them. */
function opened(home = folder(), exchange?: MemoryExchange) {
  const database: Database = openDatabase({ path: join(home, "rpc.db"), migrations, log });
  let ahead = 0;
  const instances = new Instances(
    () => discovery,
    () => performance.now() + ahead,
    (entry) => registrations.expired(entry),
  );
  const registrations: Registrations = new Registrations({
    instances,
    store: new SqliteInstances(database),
    log,
  });
  registrations.load();
  let news: InstanceNews | undefined;
  if (exchange !== undefined) {
    const cluster = { bus: exchange.join(log), counters: NO_COUNTERS, timeoutMs: 5_000 };
    news = new InstanceNews({ cluster, instances, registrations, log });
    registrations.news = news;
  }
  const close = async () => {
    registrations.news = undefined;
    news?.close();
    await database.close();
  };
  cleanup.push(close);
  return {
    home,
    instances,
    registrations,
    database,
    close,
    pass: (ms: number) => {
      ahead += ms;
    },
    ids: (tenant = "t") => instances.list(tenant).map(({ given }) => given.instance_id),
    kept: () => new SqliteInstances(database).load().map(({ id }) => id),
  };
}

describe("what is kept", () => {
  test("is there after a restart, as unknown, and its time has run on", async () => {
    const first = opened();
    const entry = await first.registrations.register("t", instance("a", { zone: "z" }), true);
    await first.registrations.register("t", instance("b"), false);
    await first.registrations.register("u", instance("a", { port: 81 }), false);
    for (const _ of [1, 2]) first.instances.checked(entry, "healthy");
    expect(entry.health).toBe("healthy");
    expect(await first.registrations.remove("t", "b")).toBe(true);
    await first.close();
    const second = opened(first.home);
    const [own, others] = second.instances.list("u");
    expect([own?.given.port, others?.given.port]).toEqual([80, 81]);
    const again = second.instances.find("t", "a") as Entry;
    expect(again).toMatchObject({ given: entry.given, isShared: true, health: "unknown", lastCheckMs: null });
    expect(Math.abs(expiresAtMs(again) - expiresAtMs(entry))).toBeLessThan(1_000);
    expect(second.ids("t")).toEqual(["a"]);
  });

  test("was renewed, and goes when its time is over, also while no server runs", async () => {
    const first = opened();
    await first.registrations.register("t", instance("short", { ttl_seconds: 1 }), false);
    await first.registrations.register("t", instance("long"), false);
    const before = first.instances.find("t", "long")?.registeredAtMs ?? 0;
    await Bun.sleep(5);
    const renewed = await first.registrations.renew("t", "long");
    expect(renewed.registeredAtMs).toBeGreaterThan(before);
    await first.close();
    await Bun.sleep(1_600);
    const second = opened(first.home);
    expect(second.ids()).toEqual(["long"]);
    expect(second.instances.find("t", "long")?.registeredAtMs).toBeGreaterThan(before);
    await until("the other to be forgotten", () => second.kept().length === 1);
    second.pass(46_000);
    expect(second.ids()).toEqual([]);
    await until("it to be forgotten", () => second.kept().length === 0);
  });

  test("of a clock that went back lives no longer than from the start on", async () => {
    const first = opened();
    await first.registrations.register("t", instance("a"), false);
    await first.database.writer.run((db) =>
      db.$client.run("UPDATE rpc_instances SET renewed_at_ms = renewed_at_ms + 86400000"),
    );
    await first.close();
    const second = opened(first.home);
    expect(second.ids()).toEqual(["a"]);
    second.pass(45_500);
    expect(second.ids()).toEqual([]);
  });

  test("is not seen before it is on disk; who is refused leaves nothing", async () => {
    const one = opened();
    const stopping = new AbortController();
    const heard: Change[] = [];
    const watching = (async () => {
      for await (const change of one.instances.changes("t", undefined, stopping.signal)) heard.push(change);
    })();
    const asked = one.registrations.register("t", instance("a"), false);
    expect(one.ids()).toEqual([]);
    await asked;
    expect(one.ids()).toEqual(["a"]);
    const both = [one.registrations.remove("t", "a"), one.registrations.remove("t", "a")];
    expect((await Promise.all(both)).toSorted()).toEqual([false, true]);
    expect(await one.registrations.remove("t", "never")).toBe(false);
    await expect(one.registrations.renew("t", "never")).rejects.toMatchObject({ code: 4000 });
    await until("both to be heard", () => heard.length === 2);
    expect(heard.map((change) => Object.keys(change)[0])).toEqual(["added", "removed"]);
    stopping.abort();
    await watching;
    await one.database.close();
    await expect(one.registrations.register("t", instance("b"), false)).rejects.toBeInstanceOf(Error);
    // Its place is free again.
    for (let n = 0; n < 1_000; n++) one.instances.register("t", instance(`i${n}`), false);
  });

  test("has a bound in bytes for a tenant, which others do not feel", () => {
    const one = opened();
    const large = (id: string) =>
      instance(id, { tags: [], capabilities: { methods: [{ x: "y".repeat(60_000) }] } });
    let placed = 0;
    try {
      for (; placed < 1_000; placed++) one.instances.register("t", large(`i${placed}`), false);
    } catch (error) {
      expect((error as RpcError).code).toBe(5021);
    }
    expect(placed).toBe(Math.floor((16 * 1024 * 1024) / Buffer.byteLength(JSON.stringify(large("i100")))));
    one.instances.register("u", large("a"), false);
    one.instances.remove("t", "i0");
    one.instances.register("t", large("b"), false);
    expect(() => one.instances.register("t", large("c"), false)).toThrow(RpcError);
  });
});

describe("in a cluster", () => {
  test("every node has what any of them was told, and keeps it", async () => {
    const exchange = new MemoryExchange();
    const [a, b] = [opened(folder(), exchange), opened(folder(), exchange)];
    await a.registrations.register("t", instance("x"), true);
    await until("the other node to hear", () => b.ids().length === 1);
    expect(b.instances.find("t", "x")).toMatchObject({ isShared: true, health: "unknown", isOwn: false });
    expect(b.kept()).toEqual(["x"]);
    a.pass(40_000);
    b.pass(40_000);
    await b.registrations.renew("t", "x");
    await until(
      "the renewal to be heard",
      () => a.instances.ageMs(a.instances.find("t", "x") as Entry) < 30_000,
    );
    await b.registrations.register("t", instance("x", { port: 90 }), true);
    await until("the change to be heard", () => a.instances.find("t", "x")?.given.port === 90);
    await a.registrations.remove("t", "x");
    await until("the end to be heard", () => b.ids().length === 0);
    await until("nobody to keep it", () => a.kept().length + b.kept().length === 0);
  });

  test("a node that comes later, or missed something, is told everything with its age", async () => {
    const exchange = new MemoryExchange();
    const a = opened(folder(), exchange);
    for (let n = 0; n < 20; n++)
      await a.registrations.register(
        "t",
        instance(`i${n}`, { metadata: { note: "x".repeat(1_000) } }),
        false,
      );
    a.pass(20_000);
    const late = opened(folder(), exchange);
    await until("the late one to know", () => late.ids().length === 20);
    expect(late.instances.ageMs(late.instances.find("t", "i0") as Entry)).toBeGreaterThanOrEqual(20_000);
    late.instances.remove("t", "i7");
    await until("a renewal to tell of what was missed", async () => {
      await a.registrations.renew("t", "i7");
      await Bun.sleep(100);
      return late.ids().includes("i7");
    });
  });

  test("an older word changes nothing, and what a node says that is nonsense harms nobody", async () => {
    const exchange = new MemoryExchange();
    const b = opened(folder(), exchange);
    await b.registrations.register("t", instance("x", { port: 90 }), false);
    await b.registrations.heard({ tenant: "t", given: instance("x"), isShared: true, ageMs: 5_000 });
    expect(b.instances.find("t", "x")?.given.port).toBe(90);
    const bus = exchange.join(log);
    for (const text of ["", "[]", '{"v":1,"type":"put","instances":[{}]}', '{"v":2,"type":"ask"}'])
      await bus.publish("rpc/instances", new TextEncoder().encode(text));
    await b.registrations.register("t", instance("y"), false);
    expect(b.ids()).toEqual(["x", "y"]);
  });
});
