// docs/limits.md tells every bound that the server has, and no other.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { framesSettings } from "../../src/frames/settings.ts";
import { hapiSettings } from "../../src/hapi/settings.ts";
import { BOUNDS } from "../../src/limits/bounds.ts";
import { limitsSettings } from "../../src/limits/settings.ts";
import { protocols } from "../../src/protocols.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/limits.md"), "utf8");
const rows = page.split("\n").filter((line) => line.startsWith("|"));
const named = (column: number, pattern: RegExp) =>
  new Set(rows.flatMap((row) => row.split("|")[column]?.match(pattern) ?? []));

test("every setting of a bound is on the page, and every setting on the page is one", () => {
  const settings = named(2, /(?<=`)(max|frames|hapiMax)\w+(?=`)/g);
  expect([...settings].sort()).toEqual(
    [
      ...Object.keys(limitsSettings).filter((name) => name !== "rateLimits"),
      ...Object.keys(framesSettings).filter((name) => name.startsWith("framesMax")),
      ...Object.keys(hapiSettings).filter(
        (name) => name.startsWith("hapiMax") && name !== "hapiMaxTerminals",
      ),
    ].sort(),
  );
});

test("every name of a bound is on the page, and every name on the page is one", () => {
  expect([...named(5, /(?<=`)[a-z-]+(?=`)/g)].sort()).toEqual(
    [...Object.keys(BOUNDS), ...protocols.flatMap(({ bounds = {} }) => Object.keys(bounds))].sort(),
  );
});
