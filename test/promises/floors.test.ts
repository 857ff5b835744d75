// The floors of the house: imports go downwards only, no circle of files anywhere, and what protocols stand on names none of them.
// `store/` as the only place of SQL is held by imports.test.ts.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const SRC = resolve(import.meta.dir, "../../src");

/** From the top. A floor imports what is below it; of what is named on one line, files may import each other, but protocols never do. */
const FLOORS = [
  ["main"],
  ["commands"],
  ["program"],
  ["context"],
  ["protocols"],
  ["happy", "hapi", "topics", "frames", "rpc"],
  ["http", "push", "relay", "ops", "admin", "doctor", "retention", "backup", "cli", "schema", "protocol"],
  // The ground has an order of its own.
  ["server"],
  ["storage", "bus"],
  ["limits"],
  ["config", "auth", "observability", "build-info", "within"],
] as const satisfies readonly (readonly string[])[];
const PROTOCOLS: readonly string[] = FLOORS[5];
const NEUTRAL = 6;

/** The first folder below src/, or the name of a file that stands there alone. */
const roomOf = (file: string): string => file.split("/")[0]?.replace(/\.tsx?$/, "") ?? "";
const floorOf = (file: string): number =>
  FLOORS.findIndex((rooms: readonly string[]) => rooms.includes(roomOf(file)));

const files = [...new Bun.Glob("**/*.{ts,tsx}").scanSync({ cwd: SRC })]
  .filter((name) => !/\.(d|test)\.tsx?$/.test(name))
  .sort();
const textOf = (file: string) => readFileSync(join(SRC, file), "utf8");

/** Every source file that a file imports, also dynamically, and for types only. */
function importsOf(file: string): string[] {
  const pattern = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\(|\bnew URL\s*\()\s*["'](\.[^"']+)["']/g;
  return [...textOf(file).matchAll(pattern)]
    .map(([, specifier = ""]) => relative(SRC, join(SRC, dirname(file), specifier)))
    .filter((target) => !target.startsWith(".."));
}

const graph = new Map(files.map((file) => [file, importsOf(file)]));
const imports = [...graph].flatMap(([from, targets]) => targets.map((to) => ({ from, to })));

/** Groups of files each of which reaches every other of its group (Tarjan), sorted; what stands alone is none. */
function circles(of: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const path: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): number => {
    const mine = order.size;
    let low = mine;
    order.set(file, mine);
    path.push(file);
    for (const target of of.get(file) ?? []) {
      if (target === file) found.push([file]);
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (path.includes(target)) low = Math.min(low, order.get(target) ?? low);
    }
    if (low === mine) {
      const group = path.splice(path.indexOf(file));
      if (group.length > 1) found.push(group.sort());
    }
    return low;
  };
  for (const file of of.keys()) if (!order.has(file)) visit(file);
  return found.sort();
}

const NAMES = /happy|hapi|topics|frames/gi;

/** Names of protocols in what the machine reads: comments do not count. */
function namesIn(text: string): string[] {
  const code = text
    .replace(/^\s*(\/\*|\*|\/\/).*$/gm, "")
    .replace(/\s\/\/ .*$/gm, "")
    .replace(/\bfrom ".*"/g, "");
  return [...new Set([...code.matchAll(NAMES)].map(([name]) => name.toLowerCase()))].sort();
}

test("the circle finder finds circles, whatever else hangs on them", () => {
  const graphOf = (text: string) =>
    new Map(text.split(" ").map((line) => [line[0] ?? "", line.slice(2).split("")]));
  expect(circles(graphOf("a>b b>c c>"))).toEqual([]);
  expect(circles(graphOf("a>b b>a"))).toEqual([["a", "b"]]);
  expect(circles(graphOf("x>a a>bx b>c c>ad d>e e>d"))).toEqual([
    ["a", "b", "c", "x"],
    ["d", "e"],
  ]);
  expect(circles(graphOf("a>bc b>d c>d d>"))).toEqual([]);
  expect(circles(graphOf("a>a"))).toEqual([["a"]]);
});

test("names are found in strings and identifiers, not in comments and paths of imports", () => {
  expect(namesIn(`const happyTable = "x"; // topics\n// frames\n * hapi`)).toEqual(["happy"]);
  expect(namesIn('import { a } from "../topics/a.ts";\nlabel("X-Happy-Client", `frames`)')).toEqual([
    "frames",
    "happy",
  ]);
});

test("every file stands on a floor", () => {
  expect(files.filter((file) => floorOf(file) < 0)).toEqual([]);
  expect(files.length).toBeGreaterThan(250);
  expect(imports).toContainEqual({ from: "commands/serve.ts", to: "context.ts" });
});

test("imports go downwards", () => {
  const upward = imports.filter(({ from, to }) => floorOf(to) < floorOf(from));
  expect(upward.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
});

test("protocols never import each other", () => {
  const between = imports.filter(
    ({ from, to }) => PROTOCOLS.includes(roomOf(from)) && PROTOCOLS.includes(roomOf(to)),
  );
  expect(between.filter(({ from, to }) => roomOf(from) !== roomOf(to))).toEqual([]);
});

test("no circles between files, also not of types", () => {
  expect(circles(graph)).toEqual([]);
});

test("the neutral floor and the ground name no protocol", () => {
  const named = files
    .filter((file) => floorOf(file) >= NEUTRAL)
    .flatMap((file) => namesIn(textOf(file)).map((name) => `${file}: ${name}`));
  expect(named.sort()).toEqual([...OTHER_MEANING].sort());
});

/** A frame of WebSocket or Engine.IO is nobody's protocol. */
const OTHER_MEANING: readonly string[] = [
  "limits/limits.ts: frames",
  "server/front-door.ts: frames",
  "server/peer.ts: frames",
  "server/unfinished-frames.ts: frames",
  "server/web-sockets.ts: frames",
];
