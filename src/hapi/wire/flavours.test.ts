import { expect, test } from "bun:test";
import { agentLabel, agentSessionId, flavourOf, hasPermissionMode, permissionModesOf } from "./flavours.ts";

test.each([
  ["claude", ["default", "acceptEdits", "bypassPermissions", "plan", "auto"]],
  ["codex", ["default", "read-only", "safe-yolo", "yolo"]],
  ["gemini", ["default", "read-only", "safe-yolo", "yolo"]],
  ["kimi", ["default", "read-only", "safe-yolo", "yolo"]],
  ["copilot", ["default", "read-only", "safe-yolo", "yolo"]],
  ["opencode", ["default", "yolo", "plan"]],
  ["grok", ["default", "auto", "plan", "bypassPermissions"]],
  ["cursor", ["default", "plan", "ask", "debug", "autoReview", "yolo"]],
  ["agy", ["request-review", "always-proceed"]],
  ["pi", []],
  ["dsh", []],
] as const)("%s has the modes of the contract", (flavour, modes) => {
  expect([...permissionModesOf(flavour)]).toEqual([...modes]);
});

test.each([[null], [{}], [{ flavor: null }], [{ flavor: "new" }], [{ flavor: "constructor" }], ["text"]])(
  "%p counts as claude",
  (metadata) => {
    expect(flavourOf(metadata)).toBe("claude");
    expect(hasPermissionMode(flavourOf(metadata), "acceptEdits")).toBeTrue();
    expect(agentLabel(metadata)).toBe("Agent");
  },
);

test.each([
  [{ flavor: "claude", claudeSessionId: "c", codexSessionId: "x" }, "c"],
  [{ flavor: "codex", claudeSessionId: "c", codexSessionId: "x" }, "x"],
  [{ flavor: "codex", claudeSessionId: "c" }, undefined],
  [{ flavor: "dsh", claudeSessionId: "c" }, undefined],
  [{ flavor: "unknown", codexSessionId: "x" }, "x"],
  [{ piSessionId: "p", codexSessionId: "x" }, "x"],
  [{ flavor: "claude", claudeSessionId: "" }, undefined],
  [null, undefined],
])("the agent's own id in %p is %p", (metadata, id) => {
  expect(agentSessionId(metadata)).toBe(id);
});
