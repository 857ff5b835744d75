// docs/protocols/rpc-coverage.md leaves out no row and no vector of the contract, and what it cites is there.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const page = readFileSync(join(ROOT, "docs/protocols/rpc-coverage.md"), "utf8");
const [rows = [], vectors = []] = page.split(/^## /m).slice(1).map(tableOf);

/** Its cells, without the head. */
function tableOf(section: string): string[][] {
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const texts = new Map<string, string>();
function textOf(path: string): string {
  const known =
    texts.get(path) ?? (existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), "utf8") : "");
  texts.set(path, known);
  return known;
}

/** What is cited and not there. */
function missing(cell: string): string[] {
  const wrong: string[] = [];
  for (const citation of cell.split("<br>")) {
    if (/^(missing here|next issue|[^`"]+: next issue)/.test(citation)) continue;
    const [, path = "", name = ""] = /^`([^`]+)`: "(.+)"$/.exec(citation) ?? [];
    const quoted = ['"', "'", "`"].map((quote) => `${quote}${name}${quote}`);
    if (path === "" || !quoted.some((text) => textOf(path).includes(text))) wrong.push(citation);
  }
  return wrong;
}

const files = (cell: string): string[] =>
  cell === "-" ? [] : cell.split(", ").map((one) => one.replaceAll("`", ""));

test("every row of section 25 is here, and what it cites is there", () => {
  expect(rows.map(([number]) => Number(number))).toEqual(Array.from({ length: 69 }, (_, at) => at + 1));
  for (const [number, , carried = "", held = ""] of rows) {
    expect([number, files(carried).filter((path) => !existsSync(join(ROOT, path)))]).toEqual([number, []]);
    expect([number, held === "" ? ["nothing"] : missing(held)]).toEqual([number, []]);
  }
});

test("every vector of section 22 is here, and what it cites is there", () => {
  expect(vectors.map(([name]) => name)).toEqual(
    Array.from({ length: 60 }, (_, at) => `V${String(at + 1).padStart(2, "0")}`),
  );
  for (const [name, , held = ""] of vectors)
    expect([name, held === "" ? ["nothing"] : missing(held)]).toEqual([name, []]);
});

test("what is not there is found", () => {
  expect(missing('`test/rpc-tasks.test.ts`: "no such test"')).toHaveLength(1);
  expect(missing('`test/no-such.test.ts`: "what is not there is found"')).toHaveLength(1);
  expect(missing("somewhere")).toHaveLength(1);
});
