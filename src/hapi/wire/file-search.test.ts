import { expect, test } from "bun:test";
import { filesIn, searchArgs, withStats } from "./file-search.ts";

test("what ripgrep is asked", () => {
  expect(searchArgs("")).toEqual(["--files"]);
  expect(searchArgs("app")).toEqual(["--files", "--iglob", "*app*"]);
  expect(searchArgs("a[b]")).toEqual(["--files", "--iglob", "*a\\[b\\]*"]);
  expect(searchArgs("a*b")).toEqual(["--files"]);
});

const LINES = "src/app.ts\nsrc/App.test.ts\n\nREADME.md\r\n";

test.each([
  ["app", 5, ["src/app.ts", "src/App.test.ts"]],
  ["app", 1, ["src/app.ts"]],
  ["", 9, ["src/app.ts", "src/App.test.ts", "README.md"]],
  // The whole path is like the pattern.
  ["*.ts", 9, ["src/app.ts", "src/App.test.ts"]],
  ["s*test*", 9, ["src/App.test.ts"]],
  ["s*test", 9, []],
  ["app*", 9, []],
  ["*app*", 9, ["src/app.ts", "src/App.test.ts"]],
  ["*/app.t?", 9, ["src/app.ts"]],
  ["src?a?p?ts", 9, ["src/app.ts"]],
  ["*md*me*", 9, []],
  ["read*me.md", 9, ["README.md"]],
  ["readme*me.md", 9, []],
  ["?????????", 9, ["README.md"]],
  ["?", 9, []],
  ["*", 9, ["src/app.ts", "src/App.test.ts", "README.md"]],
  ["zzz", 9, []],
])("%p, at most %i", (query, limit, paths) => {
  expect(filesIn(LINES, query, limit).map(({ fullPath }) => fullPath)).toEqual(paths);
});

test("a file of the root has no folder", () => {
  expect(filesIn("src/app.ts\nREADME.md", "", 9)).toEqual([
    { fileName: "app.ts", filePath: "src", fullPath: "src/app.ts", fileType: "file" },
    { fileName: "README.md", filePath: "", fullPath: "README.md", fileType: "file" },
  ]);
});

test("a pattern made to take long does not", () => {
  const path = "a".repeat(100_000);
  const started = performance.now();
  filesIn(path, `${"a*".repeat(200)}b`, 9);
  filesIn(path, `${"?".repeat(200)}b`, 9);
  filesIn(path, `*${"?".repeat(200)}b*c`, 9);
  expect(performance.now() - started).toBeLessThan(2_000);
});

test("sizes where the CLI says them", () => {
  const files = filesIn("src/app.ts\nREADME.md", "", 9);
  const answer = {
    success: true,
    entries: [{ path: "src/app.ts", size: 11, modified: 7 }, "odd", { path: "README.md", size: "x" }],
  };
  expect(JSON.parse(JSON.stringify(withStats(files, answer)))).toEqual([
    { fileName: "app.ts", filePath: "src", fullPath: "src/app.ts", fileType: "file", size: 11, modified: 7 },
    { fileName: "README.md", filePath: "", fullPath: "README.md", fileType: "file" },
  ]);
  expect(withStats(files, { error: "Method not found" })).toBe(files);
});
