// Instances one by one: who sees them, when they are over, how checks change them, which is chosen, and what may be reached.
import { describe, expect, test } from "bun:test";
import { documentFrom } from "../../../test/support/rpc-call.ts";
import type { HealthStatus } from "../services/health.ts";
import { RpcError } from "../wire/rpc-error.ts";
import { balancer } from "./balancer.ts";
import { checkInstance } from "./check.ts";
import { HealthChecker } from "./checker.ts";
import { type Registration, registration } from "./instance.ts";
import { type Change, type Entry, expiresAtMs, Instances, told } from "./instances.ts";
import { hostProblem, isAllowedAddress } from "./targets.ts";

const instance = (id: string, more: Record<string, unknown> = {}): Registration =>
  registration.parse({ instance_id: id, service_name: "Pay", host: "127.0.0.1", port: 80, ...more });

function registry(more: Record<string, unknown> = {}) {
  let now = 0;
  const { discovery } = documentFrom({ discovery: more });
  const instances = new Instances(
    () => discovery,
    () => now,
  );
  return {
    instances,
    discovery,
    pass: (ms: number) => (now += ms),
    ids: (tenant: string, service?: string) =>
      instances.list(tenant, service).map(({ given }) => given.instance_id),
    chosen: (tenant = "t", key = "k") => instances.choose(tenant, "Pay", key)?.given.instance_id,
    say: (entry: Entry, ...answers: (HealthStatus | undefined)[]) => {
      for (const answer of answers) instances.checked(entry, answer);
      return entry.health;
    },
  };
}

describe("who sees an instance", () => {
  test("the tenant that registered it, and everybody when it is shared", () => {
    const { instances, ids, chosen } = registry();
    instances.register("a", instance("x"), false);
    instances.register("b", instance("x", { port: 81 }), false);
    instances.register("b", instance("y"), true);
    expect([ids("a"), ids("b"), ids("c")]).toEqual([["x", "y"], ["x", "y"], ["y"]]);
    expect(instances.list("a").map(({ given }) => given.port)).toEqual([80, 80]);
    for (let turn = 0; turn < 20; turn++) expect(chosen("c")).toBe("y");
    expect(instances.remove("a", "y")).toBe(false);
    expect(() => instances.renew("a", "y")).toThrow(RpcError);
    expect(instances.remove("b", "x")).toBe(true);
    expect(ids("a")).toEqual(["x", "y"]);
  });

  test("by the name of its service", () => {
    const { instances, ids } = registry();
    instances.register("t", instance("b"), false);
    instances.register("t", instance("a", { service_name: "Mail" }), false);
    expect([ids("t"), ids("t", "Pay"), ids("t", "Nope")]).toEqual([["a", "b"], ["b"], []]);
  });

  test("a tenant has a thousand at most, and takes no room of another one", () => {
    const { instances, pass, ids } = registry();
    for (let n = 0; n < 1_000; n++) instances.register("t", instance(`i${n}`), false);
    expect(() => instances.register("t", instance("more"), false)).toThrow(RpcError);
    instances.register("t", instance("i5", { port: 81 }), false);
    instances.register("other", instance("x"), false);
    instances.remove("t", "i0");
    instances.register("t", instance("more"), false);
    pass(45_001);
    instances.register("t", instance("new"), false);
    expect(ids("t")).toEqual(["new"]);
  });
});

describe("an instance's time", () => {
  test("is one and a half of its ttl, from its last word", () => {
    const { instances, ids, pass } = registry();
    const entry = instances.register("t", instance("x", { ttl_seconds: 10 }), false);
    expect(expiresAtMs(entry) - entry.registeredAtMs).toBe(15_000);
    pass(15_000);
    expect(ids("t")).toEqual(["x"]);
    instances.renew("t", "x");
    pass(15_000);
    expect(ids("t")).toEqual(["x"]);
    instances.register("t", instance("x", { ttl_seconds: 10 }), false);
    pass(15_001);
    expect(ids("t")).toEqual([]);
    expect(() => instances.renew("t", "x")).toThrow(RpcError);
  });

  test("does not follow a wall clock that is a day off", () => {
    const { instances, ids, pass } = registry();
    instances.register("t", instance("x"), false).registeredAtMs -= 86_400_000;
    pass(1_000);
    expect(ids("t")).toEqual(["x"]);
  });
});

describe("checks", () => {
  test("decide after thresholds; one that was never decided may be tried", () => {
    const { instances, chosen, say } = registry();
    const entry = instances.register("t", instance("x"), false);
    expect(entry.health).toBe("unknown");
    expect(chosen()).toBe("x");
    expect(say(entry, "healthy")).toBe("unknown");
    expect(chosen()).toBe("x");
    expect(say(entry, "healthy")).toBe("healthy");
    expect(say(entry, undefined, "unhealthy", "healthy", undefined, undefined)).toBe("healthy");
    expect(say(entry, undefined)).toBe("unhealthy");
    expect(chosen()).toBeUndefined();
    expect(say(entry, "healthy", undefined, "healthy")).toBe("unhealthy");
    expect(say(entry, "healthy")).toBe("healthy");
    expect(chosen()).toBe("x");
    expect(told(entry).last_health_check_ms).toBeGreaterThan(0);
  });

  test("degraded and unknown are kept as they are, and chosen as the document says", () => {
    const strict = registry();
    const entry = strict.instances.register("t", instance("x"), false);
    expect(strict.say(entry, "degraded")).toBe("degraded");
    expect(strict.chosen()).toBeUndefined();
    expect(strict.say(entry, "unknown")).toBe("unknown");
    expect(strict.chosen()).toBeUndefined();
    const mild = registry({ allow_degraded: true });
    mild.say(mild.instances.register("t", instance("x"), false), "degraded");
    expect(mild.chosen()).toBe("x");
  });

  test("are waited for, or an unhealthy one is taken, where the document says so", () => {
    const waiting = registry({ require_first_check: true });
    const entry = waiting.instances.register("t", instance("x"), false);
    expect(waiting.chosen()).toBeUndefined();
    waiting.say(entry, "healthy", "healthy");
    expect(waiting.chosen()).toBe("x");
    const any = registry({ fallback_to_any: true });
    any.say(any.instances.register("t", instance("x"), false), "unhealthy", "unhealthy", "unhealthy");
    expect(any.chosen()).toBe("x");
    any.instances.register("t", instance("y"), false);
    for (let turn = 0; turn < 4; turn++) expect(any.chosen()).toBe("y");
    any.instances.register("t", instance("y", { weight: 0 }), false);
    expect(any.chosen()).toBe("x");
  });

  test("of an instance that was replaced meanwhile count for nothing; what says the same again keeps its health", () => {
    const { instances, say } = registry();
    const old = instances.register("t", instance("x"), false);
    say(old, "healthy", "healthy");
    const same = instances.register("t", instance("x"), false);
    expect(same.health).toBe("healthy");
    const moved = instances.register("t", instance("x", { port: 81 }), false);
    expect(moved.health).toBe("unknown");
    say(same, undefined, undefined, undefined);
    expect(moved.health).toBe("unknown");
  });

  test("look at each once a round, sixteen at once, and only where there is a transport for it", async () => {
    const { instances, discovery } = registry();
    for (let n = 0; n < 40; n++) instances.register("t", instance(`i${n}`), false);
    instances.register("t", instance("grpc", { scheme: "grpc" }), false);
    let [running, most, looks] = [0, 0, 0];
    const checker = new HealthChecker(
      instances,
      () => discovery,
      async () => {
        looks++;
        most = Math.max(most, ++running);
        await Bun.sleep(1);
        running--;
        return "healthy";
      },
    );
    await checker.round();
    await checker.round();
    expect([looks, most]).toEqual([80, 16]);
    expect(
      instances
        .list("t")
        .map(({ health }) => health)
        .sort(),
    ).toEqual([...Array(40).fill("healthy"), "unknown"]);
  });
});

test("changes are told to those that see the instance, in order, until they leave", async () => {
  const { instances, say, pass } = registry();
  const leaving = new AbortController();
  const heard: Change[] = [];
  const watching = (async () => {
    for await (const change of instances.changes("a", "Pay", leaving.signal)) heard.push(change);
  })();
  await Bun.sleep(0);
  const entry = instances.register("a", instance("x"), false);
  instances.register("b", instance("y"), false);
  instances.register("a", instance("z", { service_name: "Mail" }), false);
  say(entry, "healthy", "healthy", "healthy");
  pass(100_000);
  instances.expire();
  await Bun.sleep(10);
  leaving.abort();
  await watching;
  expect(
    heard.map((change) => Object.entries(change).map(([what, one]) => [what, one.instance_id, one.health])),
  ).toEqual([[["added", "x", "unknown"]], [["changed", "x", "healthy"]], [["removed", "x", "healthy"]]]);
});

describe("balancing", () => {
  const two = [
    { id: "a", weight: 3 },
    { id: "b", weight: 1 },
  ];
  const times = (
    name: Parameters<typeof balancer>[0],
    calls: number,
    keyOf: (n: number) => string = () => "k",
  ) => {
    const one = balancer(name);
    return Array.from({ length: calls }, (_, n) => one.choose(two, keyOf(n)));
  };

  test("in turns is exact over every cycle, and smooth", () => {
    expect(times("weighted_round_robin", 8).join("")).toBe("aabaaaba");
  });

  test("by chance follows the weights", () => {
    const a = times("random", 4_000).filter((id) => id === "a").length;
    expect(a).toBeGreaterThan(2_800);
    expect(a).toBeLessThan(3_200);
  });

  test("by key gives a key its own, and most keep theirs when one goes", () => {
    const three = [...two, { id: "c", weight: 1 }];
    const ring = balancer("consistent_hash");
    const keys = Array.from({ length: 600 }, (_, n) => `key-${n}`);
    const before = keys.map((key) => ring.choose(three, key));
    expect(keys.map((key) => ring.choose(three, key))).toEqual(before);
    for (const id of ["a", "b", "c"]) expect(before.filter((one) => one === id).length).toBeGreaterThan(100);
    const after = keys.map((key) => ring.choose(two, key));
    for (const [at, id] of before.entries()) if (id !== "c") expect(after[at]).toBe(id);
  });

  test("of none is none", () => {
    for (const name of ["weighted_round_robin", "random", "consistent_hash"] as const)
      expect(balancer(name).choose([], "k")).toBeUndefined();
  });
});

describe("addresses", () => {
  const { allowed_targets } = documentFrom().discovery;

  test.each<[string, boolean]>([
    ["127.0.0.1", true],
    ["10.1.2.3", true],
    ["192.168.1.1", true],
    ["::1", true],
    ["fd00::1", true],
    ["::ffff:127.0.0.1", true],
    ["8.8.8.8", false],
    ["169.254.169.254", false],
    ["::ffff:169.254.169.254", false],
    ["::ffff:a9fe:a9fe", false],
    ["0.0.0.0", false],
    ["::", false],
    ["224.0.0.1", false],
    ["fe80::1", false],
    ["ff02::1", false],
    ["2001:4860:4860::8888", false],
    ["127.1", false],
    ["localhost", false],
  ])("%s: %p", (address, expected) => {
    expect(isAllowedAddress(address, allowed_targets)).toBe(expected);
  });

  test("that are never allowed are not allowed by a document either", () => {
    const all = ["0.0.0.0/0", "::/0"];
    for (const address of ["169.254.169.254", "0.0.0.0", "fe80::1", "239.0.0.1"])
      expect(isAllowedAddress(address, all)).toBe(false);
    expect(isAllowedAddress("8.8.8.8", all)).toBe(true);
  });

  test("names are looked up; what is none, or leads elsewhere, is refused", async () => {
    expect(await hostProblem("localhost", allowed_targets)).toBeUndefined();
    expect(await hostProblem("localhost", ["10.0.0.0/8"])).toContain("allowed");
    for (const host of ["127.0.0.1:80", "a b", "http://x", "a/b", "[::1]", "0x7f.1\n", "-x"])
      expect(await hostProblem(host, allowed_targets)).toBeDefined();
  });
});

describe("one look", () => {
  const serve = async (
    answer: (request: Request) => Response | Promise<Response>,
    more: Record<string, unknown> = {},
    settings: Record<string, unknown> = {},
  ) => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
    try {
      const { discovery } = documentFrom({ discovery: { check_timeout_ms: 500, ...settings } });
      return await checkInstance(instance("x", { port: server.port, ...more }), discovery);
    } finally {
      await server.stop(true);
    }
  };
  const says = (status: unknown) => () => Response.json({ status: "success", result: { status } });

  test("asks for the service by name, and takes its word", async () => {
    let asked: unknown;
    const status = await serve(async (request) => {
      asked = [new URL(request.url).pathname, await request.json()];
      return says("degraded")();
    });
    expect(status).toBe("degraded");
    expect(asked).toEqual([
      "/aduib_rpc/v2/rpc",
      expect.objectContaining({ method: "rpc.v2/HealthService/Check", data: { service: "Pay" } }),
    ]);
  });

  test.each<[string, (request: Request) => Response | Promise<Response>]>([
    ["another word", says("fine")],
    ["an error", () => Response.json({ status: "error", error: { code: 4002 } }, { status: 404 })],
    ["no JSON", () => new Response("ok")],
    ["too much", () => new Response("x".repeat(200_000))],
    ["another place", () => Response.redirect("http://127.0.0.1:1/")],
    ["nothing in time", () => new Promise(() => {})],
  ])("%s is no answer", async (_name, answer) => {
    expect(await serve(answer)).toBeUndefined();
  });

  test("reads a page where the instance says so", async () => {
    const paths: string[] = [];
    const page = (status: number) =>
      serve(
        (request) => {
          paths.push(`${request.method} ${new URL(request.url).pathname}`);
          return new Response("", { status });
        },
        { metadata: { health_path: "up" } },
      );
    expect([await page(204), await page(500)]).toEqual(["healthy", undefined]);
    expect(paths).toEqual(["GET /up", "GET /up"]);
  });

  test("goes nowhere that is not allowed any more", async () => {
    let asked = 0;
    const count = () => {
      asked++;
      return says("healthy")();
    };
    const settings = { allowed_targets: ["10.0.0.0/8"] };
    expect(await serve(count, {}, settings)).toBeUndefined();
    expect(await serve(count, { host: "localhost" }, settings)).toBeUndefined();
    expect(asked).toBe(0);
    expect(await serve(count, { host: "localhost" })).toBe("healthy");
  });

  test("where nobody listens finds nothing", async () => {
    expect(await checkInstance(instance("x", { port: 1 }), documentFrom().discovery)).toBeUndefined();
  });
});
