import { describe, expect, test } from "bun:test";
import {
  mergedHistory,
  mergeMetadata,
  metadataView,
  sessionName,
  summaryMetadata,
  withKeys,
} from "./metadata.ts";

const PLACE = { path: "/home/u/demo", host: "devbox" };

describe("what clients see", () => {
  test("unknown keys pass through, of nested objects too", () => {
    const stored = {
      ...PLACE,
      unknown: { a: 1 },
      worktree: { basePath: "/", branch: "b", name: "n", odd: 1 },
    };
    expect(metadataView(stored)).toEqual(stored as never);
  });

  test.each([
    ["no path", { host: "h" }],
    ["no host", { path: "/" }],
    ["a path of a wrong type", { path: 5, host: "h" }],
    ["a name that is null", { ...PLACE, name: null }],
    ["a summary without a time", { ...PLACE, summary: { text: "x" } }],
    ["tools that are not all strings", { ...PLACE, tools: ["a", 1] }],
    ["a start by nobody known", { ...PLACE, startedBy: "me" }],
    ["a URL that is none", { ...PLACE, hapiMcpUrl: "not a url" }],
    ["a capability that is no flag", { ...PLACE, capabilities: { terminal: "yes" } }],
    ["a model of Pi without a provider", { ...PLACE, piSelectedModel: { modelId: "m" } }],
    ["a model of Pi without an id", { ...PLACE, piAvailableModels: [{}] }],
    ["an import of Pi that is none", { ...PLACE, piImportState: 5 }],
    ["a clear that is none", { ...PLACE, opencodeClearOperation: "x" }],
    ["a list", [PLACE]],
    ["text", "x"],
    ["null", null],
  ])("%s hides the whole value", (_, stored) => {
    expect(metadataView(stored)).toBeNull();
  });

  test.each([
    ["a flavour that is null", { flavor: null }],
    ["a starting mode that is null", { startingMode: null }],
    ["no model of Pi", { piSelectedModel: null, piAvailableModels: [{ modelId: "m", odd: 1 }] }],
    ["history maps", { conversationHistoryPoints: { a: true }, conversationHistoryIndexes: { a: 3 } }],
    ["a key that every object has", { constructor: "x", toString: 1 }],
  ])("%s is fine", (_, keys) => {
    expect(metadataView({ ...PLACE, ...keys })).not.toBeNull();
  });
});

test("a row of the list shows a part of it, with the agent's own id", () => {
  const metadata = metadataView({
    ...PLACE,
    flavor: "codex",
    claudeSessionId: "c",
    codexSessionId: "x",
    summary: { text: "sum", updatedAt: 5 },
    os: "linux",
  });
  expect(JSON.parse(JSON.stringify(summaryMetadata(metadata)))).toEqual({
    path: "/home/u/demo",
    summary: { text: "sum" },
    flavor: "codex",
    agentSessionId: "x",
  });
});

describe("what a CLI's write keeps (hapi-socket 18.3)", () => {
  const stored = {
    ...PLACE,
    flavor: "claude",
    machineId: "m",
    claudeSessionId: "c1",
    piSessionId: "p1",
    cursorSessionProtocol: "acp",
    forkedFrom: "f",
    name: "n",
    supersededBySessionId: "hub's",
  };

  test("identity and resume ids that it leaves out, and nothing else", () => {
    expect(mergeMetadata(stored, { lifecycleState: "archived" })).toEqual({
      lifecycleState: "archived",
      ...PLACE,
      flavor: "claude",
      machineId: "m",
      claudeSessionId: "c1",
      piSessionId: "p1",
      cursorSessionProtocol: "acp",
      supersededBySessionId: "hub's",
    });
  });

  test("an explicit null clears one", () => {
    const merged = mergeMetadata(stored, { claudeSessionId: null, path: null }) as object;
    expect(merged).not.toHaveProperty("claudeSessionId");
    expect(merged).not.toHaveProperty("path");
    expect(merged).toHaveProperty("piSessionId", "p1");
  });

  test("keys of the hub are the hub's: neither taken from it nor taken away", () => {
    expect(mergeMetadata(stored, { supersededBySessionId: "mine" })).toHaveProperty(
      "supersededBySessionId",
      "hub's",
    );
    expect(mergeMetadata(PLACE, { supersededBySessionId: "mine", opencodeClearOperation: {} })).toEqual(
      PLACE,
    );
  });

  test.each([[null], ["text"], [[1]]])("%p is stored as it comes", (value) => {
    expect(mergeMetadata(stored, value)).toEqual(value as never);
  });

  test("nothing is carried from what is no object", () => {
    expect(mergeMetadata("text", { a: 1 })).toEqual({ a: 1 });
  });

  test("the stored value stays as it is", () => {
    const before = structuredClone(stored);
    mergeMetadata(stored, { claudeSessionId: null });
    expect(stored).toEqual(before);
  });
});

test("the hub edits the stored object, so that unknown keys stay", () => {
  expect(withKeys({ ...PLACE, odd: 1, gone: 2 }, { name: "n", gone: undefined })).toEqual({
    ...PLACE,
    odd: 1,
    name: "n",
  });
  expect(withKeys(null, { name: "n" })).toEqual({ path: "", host: "", name: "n" });
});

test("a session that comes back under a new id keeps what a person gave it", () => {
  const from = {
    ...PLACE,
    name: "n",
    summary: { text: "old", updatedAt: 9 },
    worktree: { name: "w" },
    odd: 1,
  };
  const into = { path: "/new", host: "h2", claudeSessionId: "c2", summary: { text: "new", updatedAt: 5 } };
  expect(mergedHistory(from, into)).toEqual({
    path: "/new",
    host: "h2",
    claudeSessionId: "c2",
    name: "n",
    worktree: { name: "w" },
    summary: { text: "old", updatedAt: 9 },
  });
  expect(mergedHistory({ summary: { text: "old", updatedAt: 1 } }, into)).toHaveProperty(
    "summary.text",
    "new",
  );
});

test.each([
  [{ ...PLACE, name: "Name" }, "Name"],
  [{ ...PLACE, summary: { text: "Sum", updatedAt: 1 } }, "Sum"],
  [{ ...PLACE, path: "C:\\work\\demo\\" }, "demo"],
  [{ ...PLACE, path: "/" }, "12345678"],
  [null, "12345678"],
])("%p is called %p", (stored, name) => {
  expect(sessionName("1234567890", metadataView(stored))).toBe(name);
});
