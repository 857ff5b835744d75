// The log: what a changed level reaches.
import { expect, test } from "bun:test";
import { changeLevel, createLog } from "./log.ts";

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
