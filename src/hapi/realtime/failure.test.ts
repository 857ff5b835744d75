// What a client has caused is told to it and counted, and is no line at error level, however often it comes.
import { expect, test } from "bun:test";
import { TooFast } from "../../limits/message-pace.ts";
import { ValueTooLarge } from "../../limits/value-sizes.ts";
import { createLog } from "../../observability/log.ts";
import { StorageError } from "../../storage/errors.ts";
import { noteFailure, wordsOf } from "./failure.ts";

const full = new StorageError("disk-full", "The disk is full: nothing was stored.");

test.each<[unknown, string, string, number, string[]]>([
  [new ValueTooLarge("message", 9, 5), "too-large", "message is larger than 5 bytes", 0, ["value-size"]],
  [new TooFast(), "too-fast", "Too many messages at once", 0, []],
  [full, "not-stored", full.message, 1, []],
  [new StorageError("quota", "This account is full."), "not-stored", "This account is full.", 0, []],
  [new Error("secret"), "internal", "Internal error", 1, []],
])("%p", (thrown, code, message, lines, counted) => {
  expect(wordsOf(thrown)).toEqual({ code, message });
  const logged: string[] = [];
  const refused: string[] = [];
  const log = createLog("warn", { write: (line: string) => logged.push(line) });
  const bounds = { refused: (name: string) => void refused.push(name) };
  noteFailure({ bounds, log }, { event: "message", account: "a" }, thrown);
  expect([logged.length, refused]).toEqual([lines, counted]);
});
