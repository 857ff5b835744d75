// The pages about RPC name what there is: files, keys of the document, codes of errors.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { rpcDocument } from "../../src/rpc/document/document.ts";
import { nodeAt } from "../../src/rpc/document/schema-node.ts";
import { ERROR_CODES } from "../../src/rpc/wire/error-codes.ts";

const ROOT = resolve(import.meta.dir, "../..");
const CONTRACT = readFileSync(resolve(ROOT, "docs/protocols/rpc-v2.md"), "utf8");
const PAGES = ["docs/rpc.md", "docs/limits.md", "docs/watching.md", "docs/what-can-go-wrong.md"]
  .map((page) => readFileSync(resolve(ROOT, page), "utf8"))
  .concat(CONTRACT);

test("every file that the contract names is there", () => {
  const names = [...CONTRACT.matchAll(/`([\w-]+(?:\/[\w-]+)*\/[\w.-]+\.(?:ts|proto))`/g)].map(
    ([, name = ""]) => name,
  );
  expect(names.length).toBeGreaterThan(50);
  const missing = names.filter(
    (name) => !existsSync(resolve(ROOT, "src/rpc", name)) && !existsSync(resolve(ROOT, name)),
  );
  expect(missing).toEqual([]);
});

test("every key of the document that a page names is one", () => {
  const sections = Object.keys(rpcDocument.shape);
  const named = PAGES.flatMap((page) =>
    [...page.matchAll(/`([a-z]+(?:\.[a-z_]+)+)(?=[`:])/g)].map(([, name = ""]) => name),
  );
  const keys = named.filter((name) => sections.includes(name.split(".", 1)[0] ?? ""));
  expect(keys.length).toBeGreaterThan(60);
  // What a caller says, the file of the document, and the setting that stands for it.
  const others = /^(qos\.timeout_ms|rpc\.(yaml|db|document))$/;
  expect(keys.filter((name) => !others.test(name) && nodeAt(name.split(".")) === undefined)).toEqual([]);
});

test("every code of the table is in the contract and in the guide", () => {
  for (const page of [CONTRACT, PAGES[0] ?? ""]) {
    const row = (code: number) =>
      new RegExp(`\\b${code}\\b`).test(page) ||
      [...page.matchAll(/\b(\d{4}) to (\d{4})\b/g)].some(
        ([, from, to]) => Number(from) <= code && code <= Number(to),
      );
    expect(ERROR_CODES.filter(({ code }) => !row(code))).toEqual([]);
  }
});
