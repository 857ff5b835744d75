import { expect, test } from "bun:test";
import { distinctPaths, pathsExist, spawned, spawnParams } from "./spawn.ts";

test("the runner is asked as the recordings show it", () => {
  const params = spawnParams({
    directory: "/home/u/demo",
    agent: "codex",
    model: "m",
    yolo: true,
    sessionType: "worktree",
    worktreeName: "wt",
  });
  expect(JSON.stringify(params)).toBe(
    '{"type":"spawn-in-directory","directory":"/home/u/demo","agent":"codex","model":"m","yolo":true,"sessionType":"worktree","worktreeName":"wt","forkSession":false}',
  );
});

test("an agent that comes back is told which session it was", () => {
  expect(spawnParams({ directory: "/", resumeSessionId: "c", sessionId: "s" })).toMatchObject({
    agent: "claude",
    resumeSessionId: "c",
    existingSessionId: "s",
    sessionId: "s",
  });
});

test.each([
  [
    { type: "success", sessionId: "s" },
    { type: "success", sessionId: "s" },
  ],
  [{ type: "success" }, { type: "error", message: 'Unexpected spawn result: {"type":"success"}' }],
  [
    { type: "error", errorMessage: "no" },
    { type: "error", message: "no" },
  ],
  [
    { type: "error", errorMessage: "no", code: "agent_unavailable", agent: "codex" },
    { type: "error", message: "no", code: "agent_unavailable", agent: "codex" },
  ],
  [
    { type: "requestToApproveDirectoryCreation", directory: "/new" },
    { type: "error", message: "Directory creation requires approval: /new" },
  ],
  [{ error: "Method not found" }, { type: "error", message: "Method not found" }],
  [{ message: "hm" }, { type: "error", message: "hm" }],
  [null, { type: "error", message: "Unexpected spawn result: null" }],
  [undefined, { type: "error", message: "Unexpected spawn result: null" }],
  ["text", { type: "error", message: 'Unexpected spawn result: "text"' }],
])("%p becomes %p", (answer, told) => {
  expect(JSON.parse(JSON.stringify(spawned(answer)))).toEqual(told);
});

test("paths: trimmed, without blanks and doubles; only true is there", () => {
  expect(distinctPaths([" /a ", "/b", "/a", " ", "/c"])).toEqual(["/a", "/b", "/c"]);
  expect(pathsExist(["/a", "/b", "/c"], { exists: { "/a": true, "/b": false, "/c": "yes" } })).toEqual({
    exists: { "/a": true, "/b": false, "/c": false },
  });
  expect(pathsExist(["constructor"], { exists: {}, outsideWorkspaceRoots: ["/x", 1] })).toEqual({
    exists: { constructor: false },
    outsideWorkspaceRoots: ["/x"],
  });
  expect(pathsExist(["/a"], null)).toEqual({ exists: { "/a": false } });
});
