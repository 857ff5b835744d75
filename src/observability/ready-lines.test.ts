// A line that was made by hand is the line that the log itself would have written.
import { expect, setSystemTime, test } from "bun:test";
import { changeLevel, createLog } from "./log.ts";
import { ReadyLines } from "./ready-lines.ts";

const FACTS = {
  method: 'a "method"\nof two lines',
  status: "success",
  nothing: undefined,
  count: 7,
  share: 0.5,
  lone: "\ud800",
  token_in_text: "Bearer abc.def and eyJhbGciOiJI.eyJzdWIi.x",
  empty: "",
  control: "\u0000\u2028\u007f",
};
const asMembers = (facts: object) => `,${JSON.stringify(facts).slice(1, -1)}`;

test("as the log writes it, byte for byte", () => {
  const written: string[] = [];
  const log = createLog("debug", { write: (line) => written.push(line) }).child({ area: "rpc", node: "n1" });
  const lines = new ReadyLines(log);
  setSystemTime(new Date("2026-11-29T10:00:00.123Z"));
  try {
    for (const level of ["debug", "info", "warn", "error"] as const) {
      log[level](FACTS, "a call");
      lines.write(level, asMembers(FACTS), "a call");
    }
    log.info('no facts "at all"');
    lines.write("info", "", 'no facts "at all"');
  } finally {
    setSystemTime();
  }
  expect(written).toHaveLength(10);
  for (let at = 0; at < written.length; at += 2) expect(written[at + 1]).toBe(written[at] ?? "");
  expect(written[3]).toContain("[hidden]");
  expect(written.join("")).not.toContain("eyJ");
});

test("its levels are the log's, also when they change", () => {
  const root = createLog("info", { write: () => {} });
  const lines = new ReadyLines(root.child({ area: "rpc" }));
  expect([lines.isEnabled("debug"), lines.isEnabled("info")]).toEqual([false, true]);
  changeLevel(root, "debug", { rpc: "error" });
  expect([lines.isEnabled("info"), lines.isEnabled("error")]).toEqual([false, true]);
});
