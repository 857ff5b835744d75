import { describe, expect, test } from "bun:test";
import {
  machineHealth,
  machineMetadataView,
  mustBeUpgraded,
  runnerStateView,
  sameHealth,
} from "./machine.ts";

const NAMED = { host: "devbox", platform: "linux", happyCliVersion: "0.30.7" };

test("metadata: unknown keys pass through, the three names are required", () => {
  expect(machineMetadataView({ ...NAMED, odd: 1 })).toEqual({ ...NAMED, odd: 1 });
  for (const key of Object.keys(NAMED))
    expect(machineMetadataView({ ...NAMED, [key]: undefined })).toBeNull();
  expect(machineMetadataView({ ...NAMED, capabilities: "x" })).toBeNull();
});

test("workspace roots: no blanks, no doubles, absent if none is left", () => {
  expect(machineMetadataView({ ...NAMED, workspaceRoots: ["/a", " ", "/a", " /b "] })).toEqual({
    ...NAMED,
    workspaceRoots: ["/a", "/b"],
  });
  expect(machineMetadataView({ ...NAMED, workspaceRoots: [""] })).toEqual(NAMED);
});

test("a runner state needs a status", () => {
  const state = {
    status: "running",
    pid: 1,
    capabilities: { agentConfigs: [] },
    lastSpawnError: null,
    odd: 1,
  };
  expect(runnerStateView(state)).toEqual(state);
  expect(runnerStateView({ pid: 1 })).toBeNull();
  expect(runnerStateView({ status: "running", pid: "1" })).toBeNull();
  expect(runnerStateView(null)).toBeNull();
});

describe("health", () => {
  const health = {
    collectedAt: 1,
    cpuCount: 8,
    load1m: 0.5,
    cpuPercent: 12,
    memoryPercent: 40,
    uptimeSeconds: 3600,
  };

  test("the known figures, and no other key stays in memory", () => {
    expect(machineHealth(health)).toEqual(health);
    expect(machineHealth({ collectedAt: 1 })).toEqual({ collectedAt: 1 });
  });

  test.each([
    [{ collectedAt: "1" }],
    [{ ...health, odd: 1 }],
    [{ ...health, cpuPercent: null }],
    [{ ...health, cpuCount: 0 }],
    [{ ...health, cpuCount: 1.5 }],
    [{ ...health, cpuPercent: 101 }],
    [{ ...health, load1m: -1 }],
    [{ ...health, memoryPercent: Number.NaN }],
    ["odd"],
    [null],
  ])("%p is none", (reported) => {
    expect(machineHealth(reported)).toBeNull();
  });

  test("when it was collected is no change", () => {
    expect(sameHealth(health, { ...health, collectedAt: 2 })).toBeTrue();
    expect(sameHealth(health, { ...health, load1m: 0.6 })).toBeFalse();
    expect(sameHealth(health, null)).toBeFalse();
    expect(sameHealth(null, null)).toBeTrue();
  });
});

test("a runner that cannot say which agents it has is too old", () => {
  expect(mustBeUpgraded({ ...NAMED, capabilities: ["agent-availability"] })).toBeFalse();
  expect(mustBeUpgraded({ ...NAMED, capabilities: ["stop-runner"] })).toBeTrue();
  expect(mustBeUpgraded(NAMED)).toBeTrue();
  expect(mustBeUpgraded(null)).toBeTrue();
});
