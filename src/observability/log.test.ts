// The log: what a changed level reaches, levels of single areas, what is hidden whatever a caller passes, and text for people.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "../../test/support/config.ts";
import { logLevels } from "../config/values.ts";
import { changeLevel, createLog } from "./log.ts";
import { logText } from "./log-text.ts";
import { LOG_AREAS } from "./settings.ts";

test("a changed level reaches every part that was made from the log, before and after", () => {
  const lines: string[] = [];
  const log = createLog("warn", { write: (line: string) => lines.push(JSON.parse(line).msg) });
  const part = log.child({ area: "part" });
  const request = part.child({ request: 1 });
  request.info("too early");
  changeLevel(log, "info");
  for (const one of [log, part, request, part.child({ request: 2 })]) one.info("heard");
  expect(lines).toEqual(["heard", "heard", "heard", "heard"]);
  changeLevel(log, "silent");
  for (const one of [log, part, request]) one.fatal("never");
  expect(lines).toHaveLength(4);
});

test("an area has its own level, before and after a change, and its parts have it too", () => {
  const heard: string[] = [];
  const log = createLog(
    "info",
    { write: (line: string) => heard.push(JSON.parse(line).msg) },
    { happy: "debug", storage: "warn" },
  );
  const happy = log.child({ area: "happy" });
  const storage = log.child({ area: "storage" });
  happy.child({ part: 1 }).debug("happy's part");
  storage.info("never");
  log.debug("never");
  storage.warn("storage");
  changeLevel(log, "warn", { storage: "trace" });
  happy.info("never");
  storage.trace("storage's trace");
  log.child({ area: "storage" }).trace("a later one's");
  expect(heard).toEqual(["happy's part", "storage", "storage's trace", "a later one's"]);
});

test.each([
  ["happy=debug,storage=warn", { happy: "debug", storage: "warn" }],
  [" happy = trace ,", { happy: "trace" }],
  ["", {}],
  [{ topics: "silent" }, { topics: "silent" }],
])("the levels %j are understood", (given, levels) => {
  expect(logLevels().parse(given)).toEqual(levels as never);
});

test.each([
  ["hapy=debug", '"hapy" is not one of'],
  ["happy=loud", "the level of happy must be one of"],
  ["happy", "the level of happy must be one of"],
])("the levels %j are refused with a reason", (given, reason) => {
  expect(() => parseConfig({ logLevels: { value: given, source: "here" } })).toThrow(
    `here ${JSON.stringify(given)} is not usable: ${reason}`,
  );
});

test("tokens, keys and the values of errors are hidden wherever they stand", () => {
  const lines: string[] = [];
  const log = createLog("trace", { write: (line: string) => lines.push(line) });
  const jwt = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
  log.info({ token: "t0ken", deep: { down: { publicKey: "k3y" } } }, `text with ${jwt}`);
  log.info(`Authorization: Bearer ${jwt.slice(3)}`);
  const error = Object.assign(new Error("Failed query: insert ...\nparams: c0ntent,more"), {
    request: { headers: { authorization: "s3cret" } },
    code: "SQLITE_FULL",
    cause: new Error("the cause"),
  });
  log.error({ err: error }, "failed");
  log.error({ err: { message: "n0 error", body: "c0ntent" } }, "failed");
  const all = lines.join("");
  for (const secret of ["t0ken", "k3y", jwt, jwt.slice(3), "s3cret", "c0ntent"])
    expect(all).not.toContain(secret);
  for (const kept of ["text with [hidden]", "SQLITE_FULL", "the cause", "log.test.ts"])
    expect(all).toContain(kept);
});

test.each([
  "token",
  "authorization",
  "secret",
  "masterSecret",
  "publicKey",
  "challenge",
  "signature",
  "response",
  "metadata",
  "content",
])("what stands under %s is hidden at each of three levels", (key) => {
  const lines: string[] = [];
  const log = createLog("trace", { write: (line: string) => lines.push(line) });
  const fact = { [key]: "h1dden" };
  log.info(fact);
  log.info({ one: fact });
  log.info({ one: { two: fact } });
  log.info({ one: [fact] });
  log.child(fact).child({ area: "of a child" }).info("bound");
  log.child({ one: fact }).info("bound");
  expect(lines.map((line) => line.split("[hidden]").length)).toEqual([2, 2, 2, 2, 2, 2]);
  expect(fact).toEqual({ [key]: "h1dden" });
  expect(lines.join("")).not.toContain("h1dden");
});

test("a bearer token of any form is hidden in a text, and an error that is its own cause is told", () => {
  const lines: string[] = [];
  const log = createLog("trace", { write: (line: string) => lines.push(line) });
  log.info("sent Bearer 0123456789abcdef.~+/=-, and was refused");
  expect(lines[0]).toContain("sent [hidden], and was refused");
  const circle: Error = new Error("round and round");
  circle.cause = circle;
  log.error({ err: circle }, "failed");
  // Itself, and three causes.
  expect(lines[1]?.match(/"message":"round and round"/g)).toHaveLength(4);
});

test("a line for people has time, level, area, message and facts, and nothing that steers a terminal", () => {
  const lines: string[] = [];
  const log = createLog("info", { write: (line: string) => lines.push(Bun.stripANSI(logText(line))) });
  log.child({ area: "happy" }).warn({ port: 3005, odd: "\u001b[2Jx" }, "a \u001b]0;title\u0007 message");
  log.error({ err: new Error("broken") }, "failed");
  const steering = logText(
    `${JSON.stringify({ msg: "m", err: { stack: "a\u001b]0;title\u0007\n\u009b2J" } })}\n`,
  );
  expect(steering.split("\n")[1]).toBe("    a]0;title");
  expect(steering.split("\n")[2]).toBe("    2J");
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}happy a \]0;title message port=3005 odd=\[2Jx\n$/);
  expect(lines[1]).toMatch(/error failed\n {4}Error: broken\n {8}at /);
  expect(logText("not JSON\n")).toBe("not JSON\n");
});

test("the areas that a level can be given to are those that the code logs under", () => {
  const src = join(import.meta.dir, "..");
  const used = new Set<string>();
  for (const file of readdirSync(src, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue;
    for (const [, area] of readFileSync(join(src, file), "utf8").matchAll(/child\(\{ area: "(\w+)"/g))
      used.add(area ?? "");
  }
  expect([...used].sort()).toEqual([...LOG_AREAS].sort());
});
