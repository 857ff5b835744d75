// How services are told to be, for each cause one by one, and that asking costs little.
import { describe, expect, test } from "bun:test";
import type { GuardKey } from "../document/document.ts";
import { Registry } from "../registry/registry.ts";
import type { BreakerState } from "../resilience/breaker.ts";
import { HealthSource } from "./health.ts";

function source(dimensions: readonly GuardKey[] = ["service", "method", "tenant"]) {
  const registry = new Registry();
  for (const service of ["A", "B"])
    registry.register([{ service, handler: "Run", source: "builtin", run: () => null }]);
  const breakers = new Map<string, BreakerState>();
  const failed: string[] = [];
  let now = 0;
  let looks = 0;
  const health = new HealthSource({
    registry,
    breakers: () => {
      looks++;
      return breakers;
    },
    dimensions: () => dimensions,
    failed: (name) => failed.push(name),
    now: () => now,
  });
  return { registry, breakers, failed, health, pass: (ms: number) => (now += ms), looks: () => looks };
}

test("without any trouble everything is healthy; what is not there is unknown", async () => {
  const { health } = source();
  expect(await health.of("t")).toEqual({ status: "healthy", services: { A: "healthy", B: "healthy" } });
  expect(await health.of("t", "A")).toEqual({ status: "healthy", services: { A: "healthy" } });
  for (const name of ["Nope", "__proto__", "toString"]) {
    const { status, services } = await health.of("t", name);
    expect([status, Object.entries(services)]).toEqual(["unknown", [[name, "unknown"]]]);
  }
});

describe("an open breaker degrades", () => {
  test.each<[GuardKey[], string, string[], string[]]>([
    [["service", "method", "tenant"], "A|rpc.v2/A/Run|t", ["A"], []],
    [["tenant", "service"], "t|A", ["A"], []],
    [["method", "tenant"], "rpc.v2/A/Run|t", ["A"], []],
    [["service"], "A", ["A"], ["A"]],
    [["method", "principal"], "rpc.v2/A/Run|a%7Cb", ["A"], ["A"]],
    [["tenant"], "t", ["A", "B"], []],
    [["principal"], "anna", ["A", "B"], ["A", "B"]],
  ])("where its key is %p", async (dimensions, name, own, others) => {
    const { health, breakers } = source(dimensions);
    breakers.set(name, "open");
    const degraded = async (tenant: string) =>
      Object.entries((await health.of(tenant)).services).flatMap(([service, status]) =>
        status === "degraded" ? [service] : [],
      );
    expect(await degraded("t")).toEqual(own);
    expect(await degraded("other")).toEqual(others);
    expect((await health.of("t")).status).toBe("degraded");
  });

  test("only while it is open, and however many ask, it is looked at four times a second", async () => {
    const { health, breakers, pass, looks } = source();
    breakers.set("A|rpc.v2/A/Run|t", "half_open");
    for (let asked = 0; asked < 100; asked++) expect((await health.of("t")).status).toBe("healthy");
    breakers.set("A|rpc.v2/A/Run|t", "open");
    pass(250);
    expect((await health.of("t")).status).toBe("degraded");
    expect(looks()).toBe(2);
    breakers.clear();
    pass(250);
    expect((await health.of("t")).status).toBe("healthy");
  });
});

describe("a dependency that fails", () => {
  test("makes unhealthy who needs it, which is worse than degraded, and is told once", async () => {
    const { health, breakers, failed, pass } = source();
    let isDown = true;
    let runs = 0;
    const end = health.depend({
      name: "database",
      services: ["B"],
      run: async () => {
        runs++;
        if (isDown) throw new Error("down");
      },
    });
    breakers.set("A|rpc.v2/A/Run|t", "open");
    expect(await health.of("t")).toEqual({
      status: "unhealthy",
      services: { A: "degraded", B: "unhealthy" },
    });
    for (let asked = 0; asked < 50; asked++) await health.of("t");
    expect([runs, failed]).toEqual([1, ["database"]]);
    pass(1_000);
    await health.of("t");
    expect([runs, failed]).toEqual([2, ["database"]]);
    isDown = false;
    pass(1_000);
    expect((await health.of("t", "B")).status).toBe("healthy");
    isDown = true;
    pass(1_000);
    expect((await health.of("t", "B")).status).toBe("unhealthy");
    expect(failed).toEqual(["database", "database"]);
    end();
    expect((await health.of("t", "B")).status).toBe("healthy");
  });

  test("that everything needs makes everything unhealthy", async () => {
    const { health } = source();
    health.depend({
      name: "disk",
      run: () => {
        throw new Error("full");
      },
    });
    expect(await health.of("t")).toEqual({
      status: "unhealthy",
      services: { A: "unhealthy", B: "unhealthy" },
    });
    expect((await health.of("t", "Nope")).status).toBe("unknown");
  });

  test("without which services do most of their work makes them degraded", async () => {
    const { health } = source();
    const fails = () => {
      throw new Error("away");
    };
    health.depend({ name: "keys", without: "degraded", run: fails });
    expect(await health.of("t")).toEqual({ status: "degraded", services: { A: "degraded", B: "degraded" } });
    health.depend({ name: "tasks", services: ["B"], run: fails });
    expect(await health.of("t")).toEqual({
      status: "unhealthy",
      services: { A: "degraded", B: "unhealthy" },
    });
  });

  test("holds nobody up, and those who ask at once ask once", async () => {
    const { health } = source();
    let runs = 0;
    health.depend({
      name: "slow",
      run: () => {
        runs++;
        return new Promise(() => {});
      },
    });
    const all = await Promise.all([health.of("t"), health.of("t"), health.of("t")]);
    expect(all.map(({ status }) => status)).toEqual(["unhealthy", "unhealthy", "unhealthy"]);
    expect(runs).toBe(1);
  });
});

test("a service that takes no calls is unhealthy until it takes them again", async () => {
  const { health, registry } = source();
  registry.drain("A", true);
  expect((await health.of("t")).services).toEqual({ A: "unhealthy", B: "healthy" });
  registry.drain("A", false);
  expect((await health.of("t")).services).toEqual({ A: "healthy", B: "healthy" });
  expect(() => registry.drain("Nope", true)).toThrow();
});
