// What a session's CLI is asked of its folder, its files and its commands, and that whatever goes wrong there is an answer.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { TestHapiHttp } from "../../../test/support/hapi-http.ts";
import { PLACE } from "../../../test/support/hapi-hub.ts";
import { decodedBytes } from "./uploads.ts";

let t: TestHapiHttp;
let sid: string;
beforeEach(async () => {
  t = new TestHapiHttp();
  sid = await t.hub.session();
});
afterEach(() => t.close());

const ask = (method: string, path: string, body?: unknown) =>
  t.ask(method, `/api/sessions/${sid}${path}`, body);
const cwd = PLACE.path;

test.each([
  ["/git-status", "git-status", { cwd }],
  ["/git-diff-numstat", "git-diff-numstat", { cwd }],
  ["/git-diff-numstat?staged=true", "git-diff-numstat", { cwd, staged: true }],
  ["/git-diff-numstat?staged=false", "git-diff-numstat", { cwd, staged: false }],
  ["/git-diff-numstat?staged=x", "git-diff-numstat", { cwd }],
  ["/git-diff-file?path=a%20b&staged=true", "git-diff-file", { cwd, filePath: "a b", staged: true }],
  ["/file?path=a", "readFile", { path: "a" }],
  ["/directory", "listDirectory", { path: "" }],
  ["/directory?path=src", "listDirectory", { path: "src" }],
  ["/slash-commands", "listSlashCommands", { agent: "claude" }],
  ["/skills", "listSkills", { flavor: "claude" }],
])("GET %s calls %s", async (path, name, params) => {
  const method = `${sid}:${name}`;
  expect(await ask("GET", path)).toEqual([
    200,
    { success: false, error: `RPC handler not registered: ${method}` },
  ]);
  // An answer is passed on as it is, also one that no client expects.
  const answer = { success: true, stdout: "# branch\n", commands: [], more: [1] };
  t.hub.rpc.set(method, answer);
  expect(await ask("GET", path)).toEqual([200, answer]);
  expect(t.hub.called).toEqual([[method, params]]);
  if (name === "listSlashCommands") return;
  for (const odd of [{ error: "Method not found" }, null, "text"]) {
    t.hub.rpc.set(method, odd);
    expect(await ask("GET", path)).toEqual([200, odd]);
  }
});

test.each([
  ["/git-diff-file", "Invalid file path"],
  ["/git-diff-file?path=", "Invalid file path"],
  ["/file", "Invalid file path"],
  ["/file?path=", "Invalid file path"],
  ["/files?limit=0", "Invalid query"],
  ["/files?limit=", "Invalid query"],
  ["/files?limit=501", "Invalid query"],
  ["/files?limit=1.5", "Invalid query"],
])("GET %s: %s; but without a folder that is said first", async (path, error) => {
  expect(await ask("GET", path)).toEqual([400, { error }]);
  sid = await t.hub.session("b", { flavor: "claude" });
  expect(await ask("GET", path)).toEqual([200, { success: false, error: "Session path not available" }]);
  expect(t.hub.called).toEqual([]);
});

test("files: what ripgrep finds, cut and with what the CLI knows of each", async () => {
  expect(await ask("GET", "/files")).toEqual([
    200,
    { success: false, error: `RPC handler not registered: ${sid}:ripgrep` },
  ]);
  t.hub.rpc.set(`${sid}:ripgrep`, { success: false });
  expect(await ask("GET", "/files")).toEqual([200, { success: false, error: "Failed to list files" }]);
  t.hub.rpc.set(`${sid}:ripgrep`, { success: true, stdout: "src/app.ts\nREADME.md\nsrc/App.test.ts\n" });
  const file = (fileName: string, filePath: string) => ({
    fileName,
    filePath,
    fullPath: filePath === "" ? fileName : `${filePath}/${fileName}`,
    fileType: "file",
  });
  expect(await ask("GET", "/files?query=app&limit=1")).toEqual([
    200,
    { success: true, files: [file("app.ts", "src")] },
  ]);
  t.hub.rpc.set(`${sid}:statFiles`, { entries: [{ path: "README.md", size: 7, modified: 8 }] });
  expect(await ask("GET", "/files")).toEqual([
    200,
    {
      success: true,
      files: [
        file("app.ts", "src"),
        { ...file("README.md", ""), size: 7, modified: 8 },
        file("App.test.ts", "src"),
      ],
    },
  ]);
});

describe("uploads", () => {
  const upload = (body: unknown) => ask("POST", "/upload", body);
  const file = { filename: "a.txt", content: "aGk=", mimeType: "text/plain" };
  beforeEach(() => t.hub.alive(sid));

  test.each([
    {},
    { ...file, filename: "" },
    { ...file, filename: "x".repeat(256) },
    { ...file, content: "" },
    { ...file, mimeType: "" },
    { ...file, content: 1 },
  ])("%j is none", async (body) => {
    expect(await upload(body)).toEqual([400, { error: "Invalid body" }]);
    expect(await ask("POST", "/upload/delete", {})).toEqual([400, { error: "Invalid body" }]);
  });

  test("the CLI stores it, and its answer is passed on; where it is away nothing was stored", async () => {
    const failed = (name: string) => [
      500,
      { success: false, error: `RPC handler not registered: ${sid}:${name}` },
    ];
    expect(await upload(file)).toEqual(failed("uploadFile"));
    expect(await ask("POST", "/upload/delete", { path: "/f" })).toEqual(failed("deleteUpload"));
    t.hub.rpc.set(`${sid}:uploadFile`, { success: true, path: "/f" });
    t.hub.rpc.set(`${sid}:deleteUpload`, { success: false, error: "no" });
    expect(await upload({ ...file, more: 1 })).toEqual([200, { success: true, path: "/f" }]);
    expect(await ask("POST", "/upload/delete", { path: "/f" })).toEqual([
      200,
      { success: false, error: "no" },
    ]);
    expect(t.hub.called).toEqual([
      [`${sid}:uploadFile`, { sessionId: sid, ...file }],
      [`${sid}:deleteUpload`, { sessionId: sid, path: "/f" }],
    ]);
  });

  test("one of 50 MiB arrives whole, and one byte more is refused", async () => {
    const limit = 50 * 1024 * 1024;
    const got: number[] = [];
    t.hub.rpc.set(`${sid}:uploadFile`, ({ content }: { content: string }) => {
      got.push(content.length);
      // Others may send meanwhile: what is on its way to a CLI is no longer of the budget for bodies.
      expect(t.limits.bodies.heldBytes).toBe(0);
      return { success: true };
    });
    const base64 = (bytes: number) => Buffer.alloc(bytes).toString("base64");
    expect(await upload({ ...file, content: base64(limit) })).toEqual([200, { success: true }]);
    expect(await upload({ ...file, content: base64(limit + 1) })).toEqual([
      413,
      { success: false, error: "File too large (max 50MB)" },
    ]);
    expect(got).toEqual([base64(limit).length]);
  });
});

test.each([0, 1, 2, 3, 4, 1_000])("base64 of %i bytes, padded or not", (bytes) => {
  const text = Buffer.alloc(bytes).toString("base64");
  expect([decodedBytes(text), decodedBytes(text.replaceAll("=", ""))]).toEqual([bytes, bytes]);
});
