// Who may know whom: the rooms of src/ import downwards only. Protocol rooms never import each other, and what protocols stand on
// never imports a protocol.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const SRC = resolve(import.meta.dir, "../../src");

/** The storeys of the house, from the top. A room that is not named here is part of the ground that all of them stand on. */
const STOREYS = [
  ["main"],
  ["commands"],
  ["program"],
  ["context"],
  ["protocols"],
  ["happy", "hapi", "topics", "frames", "rpc"],
] as const satisfies readonly (readonly string[])[];
const GROUND = STOREYS.length;
const PROTOCOLS: readonly string[] = STOREYS[5];

interface Import {
  readonly file: string;
  readonly from: string;
  readonly target: string;
  readonly to: string;
}

/** The first folder below src/, or the name of a file that stands there alone. */
function roomOf(path: string): string {
  const [room = ""] = relative(SRC, path).split("/");
  return room.replace(/(\.test)?\.tsx?$/, "");
}

const storeyOf = (room: string): number => {
  const storey = STOREYS.findIndex((rooms: readonly string[]) => rooms.includes(room));
  return storey < 0 ? GROUND : storey;
};

/** Every import of another source file, also dynamic ones and those of types only. */
function importsOf(path: string): Import[] {
  const pattern = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\(|\bnew URL\s*\()\s*["'](\.[^"']+)["']/g;
  return [...readFileSync(path, "utf8").matchAll(pattern)].flatMap(([, specifier = ""]) => {
    const target = join(dirname(path), specifier);
    if (relative(SRC, target).startsWith("..")) return [];
    return [
      { file: relative(SRC, path), from: roomOf(path), target: relative(SRC, target), to: roomOf(target) },
    ];
  });
}

const files = [...new Bun.Glob("**/*.{ts,tsx}").scanSync({ cwd: SRC })].filter(
  (name) => !name.endsWith(".d.ts"),
);
const imports = files.flatMap((name) => importsOf(join(SRC, name)));
const across = imports.filter(({ from, to }) => from !== to);
const shown = (list: readonly Import[]) => list.map(({ file, target }) => `${file} imports ${target}`);

test("the imports of the whole source were found", () => {
  expect(files.length).toBeGreaterThan(50);
  expect(shown(across)).toContain("commands/serve.ts imports context.ts");
  expect(shown(across)).toContain("happy/protocol.ts imports protocol/manifest.ts");
});

test("protocol rooms never import each other", () => {
  const between = across.filter(({ from, to }) => PROTOCOLS.includes(from) && PROTOCOLS.includes(to));
  expect(shown(between)).toEqual([]);
});

test("storage, bus, auth, server and whatever else protocols stand on never import a protocol", () => {
  const upward = across.filter(({ from, to }) => storeyOf(from) === GROUND && PROTOCOLS.includes(to));
  expect(shown(upward)).toEqual([]);
});

test("nobody imports a room above its own", () => {
  expect(shown(across.filter(({ from, to }) => storeyOf(to) < storeyOf(from)))).toEqual([]);
});

test("files of the source import no test and nothing from outside the source but migrations and package.json", () => {
  const outside = files.flatMap((name) => {
    const path = join(SRC, name);
    if (name.endsWith(".test.ts")) return [];
    return [...readFileSync(path, "utf8").matchAll(/\bfrom\s*["'](\.[^"']+)["']/g)]
      .map(([, specifier = ""]) => relative(resolve(SRC, ".."), join(dirname(path), specifier)))
      .filter((target) => !target.startsWith("src/") || target.endsWith(".test.ts"))
      .filter((target) => !target.startsWith("migrations/") && target !== "package.json")
      .map((target) => `${name} imports ${target}`);
  });
  expect(outside).toEqual([]);
});

/** What a handle or a query is made of. What leaves a store is plain: rows, lists, values that are read piece by piece. */
const HANDLES = ["storage/database.ts", "storage/query.ts", "storage/writer.ts"];
/** Files of a protocol that are handed its open database, and make the store of it. */
const OPENERS = ["index.ts", "protocol.ts"];

test("a protocol's store/ is the only place of SQL: no query builder and no database handle leaves it", () => {
  const outside = files.filter((name) => {
    const [protocol = "", folder] = name.split("/");
    return PROTOCOLS.includes(protocol) && folder !== "store" && !name.endsWith(".test.ts");
  });
  expect(outside.length).toBeGreaterThan(100);
  const handed = imports.filter(
    ({ file, from, target }) =>
      outside.includes(file) &&
      HANDLES.includes(target) &&
      !(target === "storage/database.ts" && OPENERS.some((name) => file === `${from}/${name}`)),
  );
  expect(shown(handed)).toEqual([]);
  const queries = outside.filter((name) =>
    /["'](drizzle-orm|bun:sqlite)|\.(reads|writer)\b/.test(readFileSync(join(SRC, name), "utf8")),
  );
  expect(queries).toEqual([]);
});
