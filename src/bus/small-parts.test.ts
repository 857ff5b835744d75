// The small parts of the bus: keys of topics, waiting times, the memory of what was delivered, counters.
import { describe, expect, test } from "bun:test";
import { Metrics } from "../observability/metrics.ts";
import { keyOfTopic, topicOfKey } from "./bus-topic.ts";
import { busCounters } from "./counters.ts";
import { backoff, backoffMs } from "./etcd/backoff.ts";
import { rangeEnd } from "./etcd/gateway.ts";
import { REMEMBER_MS, RecentIds } from "./recent-ids.ts";

describe("keys", () => {
  test.each([
    ["broadcast", "/gohub/broadcast"],
    ["unicast/c1", "/gohub/unicast/c1"],
    ["unicast/a/b", "/gohub/unicast/a%2Fb"],
    ["unicast/../x", "/gohub/unicast/..%2Fx"],
    ["room/a b!*'()~._-", "/gohub/room/a%20b%21%2A%27%28%29~._-"],
    ["topic/日", "/gohub/topic/%E6%97%A5"],
  ])("%s stands at %s", (topic, key) => {
    expect(keyOfTopic("/gohub", topic)).toBe(key);
    expect(topicOfKey("/gohub", key)).toBe(topic);
  });

  test("a half surrogate has a key, and a key that nobody encoded has a topic", () => {
    expect(keyOfTopic("/g", "unicast/\ud800")).toBe("/g/unicast/%EF%BF%BD");
    expect(topicOfKey("/g", "/g/unicast/100%")).toBe("unicast/100%");
  });

  test("a prefix ends where the contract says", () => expect(rangeEnd("/gohub/")).toBe("/gohub0"));
});

describe("waiting before the next attempt", () => {
  test("100 ms doubling to 5 s, give or take a fifth", () => {
    const plain = [0, 1, 2, 3, 4, 5, 6, 7, 1_000].map((failures) => backoffMs(failures, () => 0.5));
    expect(plain).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect([backoffMs(0, () => 0), backoffMs(0, () => 1)].map(Math.round)).toEqual([80, 120]);
    expect([backoffMs(9, () => 0), backoffMs(9, () => 1)].map(Math.round)).toEqual([4_000, 6_000]);
  });

  test("an abort ends the wait at once", async () => {
    const abort = new AbortController();
    const began = performance.now();
    const waits = [backoff(10, abort.signal), backoff(10, AbortSignal.abort())];
    abort.abort();
    await Promise.all(waits);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe("what was seen", () => {
  test("a key counts once within 30 seconds, and again after them", () => {
    let now = 0;
    const seen = new RecentIds(() => now);
    expect([seen.first("a"), seen.first("a"), seen.first("b")]).toEqual([true, false, true]);
    now = REMEMBER_MS - 1;
    expect(seen.first("a")).toBe(false);
    now = REMEMBER_MS;
    expect([seen.first("a"), seen.first("a")]).toEqual([true, false]);
    seen.close();
  });

  test("the number of keys has a bound; the oldest is forgotten first", () => {
    const seen = new RecentIds(() => 0, 3);
    for (const key of ["a", "b", "c", "d"]) seen.first(key);
    expect(seen.size).toBe(3);
    expect(["b", "c", "d"].map((key) => seen.first(key))).toEqual([false, false, false]);
    expect(seen.first("a")).toBe(true);
    seen.close();
  });

  test("an idle node forgets by the sweep", () => {
    let now = 0;
    const seen = new RecentIds(() => now);
    seen.first("a");
    now = REMEMBER_MS / 2;
    seen.first("b");
    now = REMEMBER_MS;
    seen.sweep();
    expect(seen.size).toBe(1);
    seen.close();
  });
});

test("counters stand on the metrics page from the start, with the engine as label", () => {
  const metrics = new Metrics();
  const counters = busCounters(metrics, "etcd");
  counters.gap();
  counters.reconnect();
  counters.reconnect();
  const page = metrics.render();
  for (const [name, count] of [
    ["publish_errors", 0],
    ["gaps", 1],
    ["duplicates", 0],
    ["reconnects", 2],
  ])
    expect(page).toContain(`gohub_bus_${name}_total{bus="etcd"} ${count}\n`);
});
