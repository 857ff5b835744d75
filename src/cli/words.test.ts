// Holds the words of a command line to: a command's own before its flags, and options that are no settings taken out in both spellings.
import { expect, test } from "bun:test";
import { splitWords, takeOption, takeSwitch } from "./words.ts";

test.each([
  [[], [], []],
  [["user", "add", "bob"], ["user", "add", "bob"], []],
  [["list", "--data-dir", "x"], ["list"], ["--data-dir", "x"]],
  [["--data-dir", "x", "list"], [], ["--data-dir", "x", "list"]],
])("%p are the words %p and the flags %p", (argv, words, flags) => {
  expect(splitWords(argv)).toEqual({ words, flags });
});

test.each<[string[], string | undefined, string[]]>([
  [["--days", "3", "--port", "1"], "3", ["--port", "1"]],
  [["--port", "1", "--days=3"], "3", ["--port", "1"]],
  [["--days=a=b"], "a=b", []],
  [["--days="], "", []],
  [["--days"], "", []],
  [["--days", "--port", "1"], "", ["--port", "1"]],
  [["--days", "-1"], "-1", []],
  [["--daysy", "3"], undefined, ["--daysy", "3"]],
  [[], undefined, []],
])("from %p the option has the value %p, and %p is left", (argv, value, rest) => {
  expect(takeOption(argv, "--days")).toEqual({ value, rest });
});

test("a switch is there or not", () => {
  expect(takeSwitch(["--yes", "--port", "1"], "--yes")).toEqual({ on: true, flags: ["--port", "1"] });
  expect(takeSwitch(["--port", "1"], "--yes")).toEqual({ on: false, flags: ["--port", "1"] });
});
