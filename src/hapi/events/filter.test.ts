import { expect, test } from "bun:test";
import { concerns, type Interest, type Told } from "./filter.ts";

const OWN = { namespace: "a" };
const OTHER = { namespace: "b" };

const session = (sessionId: string): Told => ({ ...OWN, sessionId });
const machine = (machineId: string): Told => ({ ...OWN, machineId });

// Who listens how, and what of session 1, session 2, machine 1 and machine 2 it hears.
test.each<[Omit<Interest, "namespace">, readonly boolean[]]>([
  [{ all: false }, [false, false, false, false]],
  [{ all: true }, [true, true, true, true]],
  [{ all: false, sessionId: "1" }, [true, false, false, false]],
  [{ all: false, machineId: "1" }, [false, false, true, false]],
  [{ all: false, sessionId: "2", machineId: "1" }, [false, true, true, false]],
  [{ all: true, sessionId: "1" }, [true, true, true, true]],
])("%p hears %p", (interest, expected) => {
  const told = [session("1"), session("2"), machine("1"), machine("2")];
  expect(told.map((one) => concerns({ ...OWN, ...interest }, one))).toEqual([...expected]);
  // Nothing goes past the namespace.
  expect(told.some((one) => concerns({ ...OTHER, ...interest }, one))).toBe(false);
});
