import { describe, expect, test } from "bun:test";
import { RpcError } from "../wire/rpc-error.ts";
import type { MethodDefinition } from "./definition.ts";
import { Registry } from "./registry.ts";

const method = (name: string, shape: Partial<MethodDefinition> = {}): MethodDefinition => {
  const [service = "", handler = ""] = name.split("/");
  return { service, handler, source: "module", run: () => null, ...shape };
};

function failure(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error instanceof RpcError
      ? { code: error.code, metadata: error.details[0]?.metadata }
      : String(error);
  }
}

describe("a method is found by its version", () => {
  const registry = new Registry();
  const [old, young] = [method("A/Run", { until: "2.1" }), method("A/Run", { since: "2.1" })];
  registry.register([old, young, method("A/Late", { since: "2.1" })]);

  test("of two with the same name each has versions of its own", () => {
    expect(registry.find("rpc.v2/A/Run", "A", "2.0").method).toBe(old);
    expect(registry.find("rpc.v2/A/Run", "A", "2.10").method).toBe(young);
  });

  test("one of another version is not there, and the error says where it is", () => {
    expect(failure(() => registry.find("rpc.v2/A/Late", "A", "2.0"))).toEqual({
      code: 4001,
      metadata: { available_in: ["2.1"], negotiated: "2.0" },
    });
  });

  test("a service that is not there is told apart from a method that is not", () => {
    expect(failure(() => registry.find("rpc.v2/A/No", "A", "2.0"))).toMatchObject({ code: 4001 });
    expect(failure(() => registry.find("rpc.v2/B/No", "B", "2.0"))).toMatchObject({ code: 4002 });
  });
});

describe("what is taken is refused whole", () => {
  test.each([
    [[method("A/Run")], "rpc.v2/A/Run is there already"],
    [[method("A/New"), method("A/New")], "rpc.v2/A/New is there already"],
    [[method("A/New"), method("A/Other", { aliases: ["rpc.v2/A/Run"] })], "is taken"],
    [[method("A/New"), method("A/Said")], "is an alias"],
    [[method("A/New"), method("1/Bad")], "no method name"],
    [[method("A/New"), method("A/Bad", { aliases: ["bad"] })], "no method name"],
  ])("%#", (definitions, sentence) => {
    const registry = new Registry();
    registry.register([method("A/Run", { aliases: ["rpc.v2/A/Said"] })]);
    expect(failure(() => registry.register(definitions))).toContain(sentence);
    expect(registry.list().map(({ handler }) => handler)).toEqual(["Run"]);
  });
});

test("an alias is another name of its method, and goes with it", () => {
  const registry = new Registry();
  const run = method("A/Run", { aliases: ["rpc.v2/B/Say"] });
  let changes = 0;
  registry.onChange(() => changes++);
  registry.register([run]);
  expect(registry.find("rpc.v2/B/Say", "B", "2.0")).toEqual({
    method: run,
    full: "rpc.v2/A/Run",
    aliasOf: "rpc.v2/B/Say",
  });
  registry.remove([run]);
  expect(failure(() => registry.find("rpc.v2/B/Say", "B", "2.0"))).toMatchObject({ code: 4002 });
  expect(registry.services()).toEqual([]);
  expect(changes).toBe(2);
});
