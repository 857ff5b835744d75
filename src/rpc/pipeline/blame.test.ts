// What a passed deadline says of the service: nothing, unless the method had the time that is its own.
import { expect, test } from "bun:test";
import { callFrom } from "../../../test/support/rpc-call.ts";
import { isCallersDeadline } from "./blame.ts";

interface Passed {
  readonly ownMs?: number;
  readonly askedMs?: number;
  /** Until the handler began. */
  readonly beforeMs?: number;
  /** Of the handler. */
  readonly ranMs: number;
}

function isCallers({ ownMs, askedMs, beforeMs = 0, ranMs }: Passed): boolean {
  const call = callFrom({
    document: { qos: { default_timeout_ms: 10_000, max_timeout_ms: 60_000 } },
    qos: askedMs === undefined ? {} : { timeout_ms: askedMs },
    definition: ownMs === undefined ? {} : { timeoutMs: ownMs },
  });
  const beganAt = performance.now() - ranMs;
  call.deadlineAt = beganAt - beforeMs + Math.min(askedMs ?? ownMs ?? 10_000, 60_000);
  call.end("deadline");
  return isCallersDeadline(call, beganAt);
}

test.each([
  ["the server's own time", { ranMs: 10_001 }, false],
  ["less than that, asked for", { askedMs: 50, ranMs: 50 }, true],
  ["a little less, asked for", { askedMs: 9_990, ranMs: 9_990 }, true],
  ["more than that, asked for", { askedMs: 20_000, ranMs: 20_000 }, false],
  ["the method's own time", { ownMs: 100, ranMs: 100 }, false],
  ["that, asked for", { ownMs: 100, askedMs: 100, ranMs: 100 }, false],
  ["less than the method's, asked for", { ownMs: 20_000, askedMs: 10_000, ranMs: 10_000 }, true],
  ["more than may be asked for", { ownMs: 90_000, askedMs: 80_000, ranMs: 60_000 }, false],
  ["a method that blocked the thread for longer than its own time", { askedMs: 50, ranMs: 10_001 }, false],
  ["what was left of the time after the call was sent slowly", { beforeMs: 9_000, ranMs: 1_000 }, true],
  ["what was left after the usual way", { beforeMs: 200, ranMs: 9_801 }, false],
] as const)("%s", (_name, passed, expected) => {
  expect(isCallers(passed)).toBe(expected);
});

test("only where the deadline passed", () => {
  const call = callFrom({ qos: { timeout_ms: 50 } });
  call.deadlineAt = performance.now();
  expect(isCallersDeadline(call, performance.now())).toBe(false);
});
