// docs/protocols/hapi-faults.md tells every fault of the contract's section 17, and cites only tests that there are.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const code = (cell: string | undefined) => /^`(.*)`$/.exec(cell?.trim() ?? "")?.[1] ?? "";
const rows = read("docs/protocols/hapi-faults.md")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !/^\| (Fault|-)/.test(line))
  .map((line) => line.split(" | "))
  .map(([fault = "", , file, name]) => ({
    fault,
    file: code(file),
    name: code(name?.replace(/\|\s*$/, "")),
  }));

test("there are rows", () => expect(rows.length).toBeGreaterThan(20));

test.each(rows)("$fault", ({ file, name }) => {
  expect(file).toMatch(/\.ts$/);
  expect(name).not.toBe("");
  expect(existsSync(join(ROOT, file))).toBe(true);
  expect(read(file)).toContain(name);
});

test("no fault of section 17 is missing", () => {
  const contract = read("docs/protocols/hapi-socket.md");
  const section = contract.slice(
    contract.indexOf("## 17. Upstream faults"),
    contract.indexOf("## 18. Delta"),
  );
  const told = [...section.matchAll(/^(\d+)\. /gm)].map(([, number]) => `17.${number}`);
  expect(told.length).toBeGreaterThanOrEqual(9);
  expect([...new Set(rows.flatMap(({ fault }) => /17\.\d+/.exec(fault) ?? []))].sort()).toEqual(told.sort());
});
