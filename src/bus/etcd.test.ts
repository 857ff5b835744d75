// The etcd engine when things go wrong: etcd dies, forgets, begins anew, asks for a password, or goes silent. Always on a real etcd.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { type Etcd, startEtcd, withEtcd } from "../../test/support/etcd.ts";
import { freePort } from "../../test/support/free-port.ts";
import { needs } from "../../test/support/needs.ts";
import { type TcpProxy, tcpProxy } from "../../test/support/tcp-proxy.ts";
import { until } from "../../test/support/until.ts";
import { createLog } from "../observability/log.ts";
import { BusClosedError, PublishFailedError } from "./errors.ts";
import { EtcdBus, type EtcdBusSettings } from "./etcd.ts";
import { stream } from "./stream.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

class Counts {
  errors = 0;
  gaps = 0;
  duplicates = 0;
  reconnects = 0;
  publishError = () => this.errors++;
  gap = () => this.gaps++;
  duplicate = () => this.duplicates++;
  reconnect = () => this.reconnects++;
}

/** Waits for a state that only looking shows. */
withEtcd.describe("the etcd bus in trouble", () => {
  let etcd: Etcd;
  let port: number;
  let prefixes = 0;
  let keyPrefix = "";
  const cleanup: (() => Promise<void> | void)[] = [];

  beforeAll(async () => {
    etcd = await startEtcd();
    port = Number(new URL(etcd.url).port);
  }, 20_000);
  afterAll(async () => await etcd?.stop());
  beforeEach(() => {
    keyPrefix = `/trouble${++prefixes}`;
  });
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  function node(settings: Partial<EtcdBusSettings> = {}) {
    const counts = new Counts();
    const lines: string[] = [];
    const log = createLog("debug", { write: (line: string) => lines.push(line) });
    const bus = new EtcdBus(
      { endpoints: [etcd.url], dialTimeoutMs: 2_000, keyPrefix, leaseSeconds: 30, ...settings },
      counts,
      log,
    );
    cleanup.push(() => bus.close());
    const heard: string[] = [];
    bus.subscribe("broadcast", (message) => heard.push(new TextDecoder().decode(message.bytes)));
    return { bus, counts, lines, heard };
  }

  const proxied = async (): Promise<[TcpProxy, string]> => {
    const proxy = await tcpProxy(port);
    cleanup.push(() => proxy.stop());
    return [proxy, `http://127.0.0.1:${proxy.port}`];
  };

  test("opens one watch, however many topics are subscribed", async () => {
    const watchers = async () =>
      Number(
        /^etcd_debugging_mvcc_watcher_total (\d+)/m.exec(
          await (await fetch(`${etcd.url}/metrics`)).text(),
        )?.[1],
      );
    const before = await watchers();
    const { bus } = node();
    await bus.ready;
    for (let index = 0; index < 50; index++) bus.subscribe(`unicast/${index}`, () => {});
    await bus.publish("broadcast", bytes("x"));
    expect(await watchers()).toBe(before + 1);
  });

  test("etcd is killed and comes back: publishing fails meanwhile, afterwards everybody hears again, nobody twice", async () => {
    const [a, b] = [node(), node()];
    await Promise.all([a.bus.ready, b.bus.ready]);
    await a.bus.publish("broadcast", bytes("before"));
    await until("the first message", () => b.heard.length === 1);
    await etcd.kill();
    await until("the loss to be noticed", () => !a.bus.connected && !b.bus.connected);
    await expect(a.bus.publish("broadcast", bytes("lost"))).rejects.toBeInstanceOf(PublishFailedError);
    await etcd.start();
    await until("the return", () => a.bus.connected && b.bus.connected);
    for (const text of ["after", "after"]) await a.bus.publish("broadcast", bytes(text));
    await until("the messages after", () => b.heard.length === 3 && a.heard.length === 3);
    expect(b.heard).toEqual(["before", "after", "after"]);
    expect(a.heard).toEqual(["before", "after", "after"]);
    expect([b.counts.gaps, b.counts.reconnects]).toEqual([0, 1]);
    const warnings = b.lines.filter((line) => line.includes("the bus is away"));
    expect(warnings).toHaveLength(1);
  }, 30_000);

  test("a node that starts while etcd is away becomes ready when it comes", async () => {
    await etcd.kill();
    const { bus, heard, counts } = node();
    await until("the failure", () => !bus.connected);
    await etcd.start();
    await bus.ready;
    await bus.publish("broadcast", bytes("here"));
    await until("the message", () => heard.length === 1);
    expect(counts.gaps).toBe(0);
  }, 30_000);

  test("a cut watch resumes by revision: what was written meanwhile is heard, once, in order", async () => {
    const [proxy, endpoint] = await proxied();
    const [writer, cutOff] = [node(), node({ endpoints: [endpoint] })];
    await Promise.all([writer.bus.ready, cutOff.bus.ready]);
    await writer.bus.publish("broadcast", bytes("0"));
    await until("the first message", () => cutOff.heard.length === 1);
    proxy.cut();
    await until("the loss", () => !cutOff.bus.connected);
    for (const text of ["1", "2", "3"]) await writer.bus.publish("broadcast", bytes(text));
    proxy.restore();
    await until("the return", () => cutOff.bus.connected);
    await writer.bus.publish("broadcast", bytes("4"));
    await until("all messages", () => cutOff.heard.length >= 5);
    expect(cutOff.heard).toEqual(["0", "1", "2", "3", "4"]);
  }, 30_000);

  test("a history that was compacted meanwhile is a counted gap, and the node hears what comes after", async () => {
    const [proxy, endpoint] = await proxied();
    const [writer, cutOff] = [node(), node({ endpoints: [endpoint] })];
    await Promise.all([writer.bus.ready, cutOff.bus.ready]);
    proxy.cut();
    await until("the loss", () => !cutOff.bus.connected);
    for (const text of ["1", "2", "3"]) await writer.bus.publish("broadcast", bytes(text));
    const { header } = await etcd.call("/v3/kv/range", { key: btoa("x") });
    await etcd.call("/v3/kv/compaction", { revision: header.revision });
    proxy.restore();
    await until("the return", () => cutOff.bus.connected && cutOff.counts.gaps === 1);
    await writer.bus.publish("broadcast", bytes("4"));
    await until("the message after the gap", () => cutOff.heard.includes("4"));
    // The newest write is part of the compacted revision itself and is still there.
    expect(cutOff.heard).toEqual(["3", "4"]);
    expect(cutOff.lines.some((line) => line.includes("no longer has all messages"))).toBe(true);
  }, 30_000);

  test("a silent cluster survives a compaction by others without a gap", async () => {
    const [proxy, endpoint] = await proxied();
    const [writer, quiet] = [node(), node({ endpoints: [endpoint], probeMs: 50 })];
    await Promise.all([writer.bus.ready, quiet.bus.ready]);
    for (let index = 0; index < 10; index++) await etcd.put("/somebody/else", String(index));
    const { header } = await etcd.call("/v3/kv/range", { key: btoa("x") });
    // At least one whole probe has happened: it reads on a connection of its own.
    await Bun.sleep(300);
    await etcd.call("/v3/kv/compaction", { revision: header.revision });
    proxy.cut();
    await until("the loss", () => !quiet.bus.connected);
    proxy.restore();
    await until("the return", () => quiet.bus.connected);
    await writer.bus.publish("broadcast", bytes("x"));
    await until("the message", () => quiet.heard.length === 1);
    expect(quiet.counts.gaps).toBe(0);
  }, 30_000);

  test("a watch that is silently dead is noticed, and loses nothing", async () => {
    const [proxy, endpoint] = await proxied();
    const [writer, deaf] = [node(), node({ endpoints: [endpoint], probeMs: 300, dialTimeoutMs: 500 })];
    await Promise.all([writer.bus.ready, deaf.bus.ready]);
    proxy.freeze();
    await writer.bus.publish("broadcast", bytes("unheard?"));
    await until("the message", () => deaf.heard.length === 1);
    expect(deaf.heard).toEqual(["unheard?"]);
    expect(deaf.counts.reconnects).toBe(1);
  }, 30_000);

  test("an etcd that lost all its data is heard again", async () => {
    const { bus, heard, counts } = node();
    await bus.ready;
    for (let index = 0; index < 20; index++) await bus.publish("broadcast", bytes("old"));
    await until("the old messages", () => heard.length === 20);
    await etcd.kill();
    await etcd.start({ fresh: true });
    await until("the return", () => bus.connected);
    await bus.publish("broadcast", bytes("new"));
    await until("the new message", () => heard.length === 21);
    expect(counts.gaps).toBe(1);
  }, 30_000);

  test("an endpoint that is down is passed over", async () => {
    const { bus, heard } = node({ endpoints: [`http://127.0.0.1:${freePort()}`, etcd.url] });
    await bus.ready;
    await bus.publish("broadcast", bytes("x"));
    await until("the message", () => heard.length === 1);
  });

  test("an etcd that hangs does not hold a publish longer than its signal, nor the ones behind it for ever", async () => {
    const { bus, heard } = node({ dialTimeoutMs: 300 });
    await bus.ready;
    etcd.pause();
    cleanup.push(() => etcd.resume());
    const reason = new Error("too slow");
    const abort = new AbortController();
    const publishes = [1, 2, 3].map((index) =>
      bus.publish("broadcast", bytes(`slow ${index}`), abort.signal).catch((error: unknown) => error),
    );
    abort.abort(reason);
    expect(await Promise.all(publishes)).toEqual([reason, reason, reason]);
    await expect(bus.publish("broadcast", bytes("slow 4"))).rejects.toBeInstanceOf(PublishFailedError);
    etcd.resume();
    await until("the return", async () => {
      await bus.publish("broadcast", bytes("quick")).catch(() => {});
      return heard.includes("quick");
    });
  }, 30_000);

  test("T10: a key hangs on a lease of at most 30 s, and vanishes with it", async () => {
    const { bus } = node({ leaseSeconds: 30 });
    await bus.publish("unicast/c1", bytes("x"));
    const { kvs } = await etcd.call("/v3/kv/range", { key: btoa(`${keyPrefix}/unicast/c1`) });
    const { grantedTTL, TTL } = await etcd.call("/v3/lease/timetolive", { ID: kvs[0].lease });
    expect(Number(grantedTTL)).toBe(30);
    expect(Number(TTL)).toBeLessThanOrEqual(30);

    const short = node({ leaseSeconds: 2 });
    await short.bus.publish("unicast/c2", bytes("x"));
    await until(
      "the key to expire",
      async () =>
        (await etcd.call("/v3/kv/range", { key: btoa(`${keyPrefix}/unicast/c2`) })).kvs === undefined,
      10_000,
    );
  }, 20_000);

  test("one lease serves many publishes, and a lost one is replaced without losing the message", async () => {
    const { bus, heard } = node();
    await bus.ready;
    const leaseOf = async (topic: string) =>
      (await etcd.call("/v3/kv/range", { key: btoa(`${keyPrefix}/${topic}`) })).kvs[0].lease as string;
    await bus.publish("broadcast", bytes("1"));
    const first = await leaseOf("broadcast");
    await bus.publish("broadcast", bytes("2"));
    expect(await leaseOf("broadcast")).toBe(first);
    await etcd.call("/v3/lease/revoke", { ID: first });
    await bus.publish("broadcast", bytes("3"));
    expect(await leaseOf("broadcast")).not.toBe(first);
    await until("the messages", () => heard.length === 3);
    expect(heard).toEqual(["1", "2", "3"]);
  });

  test("publishes that wait together go together, in order", async () => {
    const { bus } = node();
    await bus.ready;
    const order: string[] = [];
    for (let index = 0; index < 120; index++)
      bus.subscribe(`unicast/${index}`, ({ topic }) => order.push(topic));
    const before = Number((await etcd.call("/v3/kv/range", { key: btoa("x") })).header.revision);
    const topics = Array.from({ length: 120 }, (_, index) => `unicast/${index}`);
    await Promise.all(topics.map((topic) => bus.publish(topic, bytes("x"))));
    const after = Number((await etcd.call("/v3/kv/range", { key: btoa("x") })).header.revision);
    await until("all", () => order.length === 120);
    expect(order).toEqual(topics);
    expect(after - before).toBe(2);
  });

  test("what etcd would refuse is refused before the call, and the queue has a bound", async () => {
    const { bus } = node();
    await expect(bus.publish("broadcast", new Uint8Array(1_500_001))).rejects.toBeInstanceOf(
      PublishFailedError,
    );
    await bus.publish("broadcast", new Uint8Array(1_500_000));
    const megabyte = new Uint8Array(1_000_000);
    const results = await Promise.all(
      Array.from({ length: 70 }, () => bus.publish("broadcast", megabyte).catch((error: unknown) => error)),
    );
    const refused = results.filter((result) => result instanceof PublishFailedError);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(10);
  }, 30_000);

  test("what was accepted for publishing still goes out at a close", async () => {
    const [leaving, stays] = [node(), node()];
    await Promise.all([leaving.bus.ready, stays.bus.ready]);
    const publishes = ["1", "2", "3"].map((text) => leaving.bus.publish("broadcast", bytes(text)));
    await leaving.bus.close();
    await Promise.all(publishes);
    await until("the last words", () => stays.heard.length === 3);
    await expect(leaving.bus.publish("broadcast", bytes("4"))).rejects.toBeInstanceOf(BusClosedError);
  });

  test("a close while etcd hangs ends within its bound, and says so to whoever waits", async () => {
    const { bus } = node({ dialTimeoutMs: 60_000 });
    await bus.ready;
    etcd.pause();
    cleanup.push(() => etcd.resume());
    const publishes = [1, 2].map((index) =>
      bus.publish("broadcast", bytes(`${index}`)).catch((error: unknown) => error),
    );
    const began = performance.now();
    await bus.close();
    expect(performance.now() - began).toBeLessThan(3_000);
    for (const error of await Promise.all(publishes)) expect(error).toBeInstanceOf(BusClosedError);
    etcd.resume();
  }, 30_000);

  test("values and keys that others wrote by hand arrive; deletions do not", async () => {
    const { bus } = node();
    await bus.ready;
    const got: [string, string][] = [];
    for (const topic of ["broadcast", "unicast/100% plain", "topic/*"])
      bus.subscribe(topic, (message) => got.push([message.topic, new TextDecoder().decode(message.bytes)]));
    await etcd.put(`${keyPrefix}/broadcast`, "A");
    await etcd.put(`${keyPrefix}/unicast/100% plain`, "B");
    await etcd.call("/v3/kv/deleterange", { key: btoa(`${keyPrefix}/broadcast`) });
    await etcd.put(`${keyPrefix}0/broadcast`, "beside the prefix");
    await etcd.put(`${keyPrefix}/topic/x/y`, "C");
    await until("the last", () => got.length >= 3);
    expect(got).toEqual([
      ["broadcast", "A"],
      ["unicast/100% plain", "B"],
      ["topic/x/y", "C"],
    ]);
  });

  test("presence lives on a lease that is kept alive, is written again after a loss, and goes with the node", async () => {
    const short = node({ leaseSeconds: 2 });
    const reader = node();
    const { presence } = short.bus;
    await presence.set("kept", "n");
    const key = btoa(`${keyPrefix}/presence/kept`);
    const lease = async () =>
      (await etcd.call("/v3/kv/range", { key })).kvs?.[0]?.lease as string | undefined;
    const first = await lease();
    // Longer than the lease: only keeping it alive explains that it is still there.
    await Bun.sleep(4_500);
    expect(await lease()).toBe(first);
    await etcd.call("/v3/lease/revoke", { ID: first });
    expect(await reader.bus.presence.find("kept")).toBeUndefined();
    await until("the entry to come back", async () => (await reader.bus.presence.find("kept")) === "n");
    await short.bus.close();
    await until("the entry to go", async () => (await reader.bus.presence.find("kept")) === undefined, 1_000);
  }, 30_000);

  test("a stream of a closed bus ends", async () => {
    const { bus } = node();
    await bus.ready;
    const messages = stream(bus, "broadcast");
    await bus.close();
    expect(await messages.next()).toEqual({ value: undefined, done: true });
  });
});

withEtcd.describe("an etcd that asks who is there", () => {
  const settings = { dialTimeoutMs: 2_000, keyPrefix: "/gohub", leaseSeconds: 30 };

  test("user and password are used, also after etcd forgot the token; a wrong password is an error without the password", async () => {
    const etcd = await startEtcd();
    try {
      await etcd.call("/v3/auth/user/add", { name: "root", password: "s3cret" });
      await etcd.call("/v3/auth/role/add", { name: "root" });
      await etcd.call("/v3/auth/user/grant", { user: "root", role: "root" });
      await etcd.call("/v3/auth/enable", {});
      const log = createLog("silent");
      const known = new EtcdBus(
        { ...settings, endpoints: [etcd.url], username: "root", password: "s3cret" },
        new Counts(),
        log,
      );
      await known.ready;
      let heard = 0;
      known.subscribe("broadcast", () => heard++);
      await known.publish("broadcast", bytes("x"));
      await until("the message", () => heard === 1);
      // Switched off and on again, etcd no longer knows the tokens that it gave.
      const authorization = (await etcd.call("/v3/auth/authenticate", { name: "root", password: "s3cret" }))
        .token;
      const disabled = await fetch(`${etcd.url}/v3/auth/disable`, {
        method: "POST",
        headers: { authorization },
        body: "{}",
      });
      expect(disabled.status).toBe(200);
      await etcd.call("/v3/auth/enable", {});
      await known.publish("broadcast", bytes("y"));
      await until("the message with a new token", () => heard === 2);
      await known.close();

      const lines: string[] = [];
      const wrong = new EtcdBus(
        { ...settings, endpoints: [etcd.url], username: "root", password: "hunter2" },
        new Counts(),
        createLog("debug", { write: (line: string) => lines.push(line) }),
      );
      const error = await wrong.publish("broadcast", bytes("x")).catch((problem: unknown) => problem);
      expect(error).toBeInstanceOf(PublishFailedError);
      await until("the log", () => lines.length > 0);
      await wrong.close();
      expect(lines.join("")).toContain("authentication failed");
      expect(lines.join("")).not.toContain("hunter2");
    } finally {
      await etcd.stop();
    }
  }, 40_000);

  needs.program("openssl").test(
    "TLS with certificates of its own on both sides",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "roost-tls-"));
      try {
        for (const command of [
          "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem",
          "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout node.key -out node.csr",
          "x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile node.ext -out node.pem",
        ]) {
          writeFileSync(
            join(folder, "node.ext"),
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth",
          );
          await $`openssl ${command.split(" ")}`.cwd(folder).quiet();
        }
        const path = (name: string) => join(folder, name);
        const pem = (name: string) => readFileSync(path(name), "utf8");
        const tls = { ca: pem("ca.pem"), cert: pem("node.pem"), key: pem("node.key") };
        const etcd = await startEtcd({
          scheme: "https",
          tls,
          flags: [
            ...["--cert-file", path("node.pem"), "--key-file", path("node.key")],
            ...["--trusted-ca-file", path("ca.pem"), "--client-cert-auth"],
          ],
        });
        try {
          const bus = new EtcdBus(
            { ...settings, endpoints: [etcd.url], tls },
            new Counts(),
            createLog("silent"),
          );
          await bus.ready;
          let heard = 0;
          bus.subscribe("broadcast", () => heard++);
          await bus.publish("broadcast", bytes("x"));
          await until("the message", () => heard === 1);
          await bus.close();
          const stranger = new EtcdBus(
            { ...settings, endpoints: [etcd.url], tls: { ca: tls.ca } },
            new Counts(),
            createLog("silent"),
          );
          await expect(stranger.publish("broadcast", bytes("x"))).rejects.toBeInstanceOf(PublishFailedError);
          await stranger.close();
        } finally {
          await etcd.stop();
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    40_000,
  );
});
