// A large text is read exactly as JSON.parse reads it, and costs what its long strings cost.
import { expect, test } from "bun:test";
import { NotUtf8, parseLargeJson, RawText, TooDeeplyNested, TooMuchStructure } from "./large-json.ts";

const RAW = new Set(["content"]);
/** In chunks of so many bytes; small ones cut every string somewhere. */
function chunksOf(bytes: Buffer, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(new Uint8Array(bytes.subarray(at, at + size)));
  return chunks;
}
const parse = (text: string, rawKeys = RAW, size = Number.MAX_SAFE_INTEGER) =>
  parseLargeJson(chunksOf(Buffer.from(text), size), rawKeys);
const long = (filler: string) => filler.repeat(Math.ceil(20_000 / filler.length));

test.each([
  ["nothing long", { a: [1, "two", null], b: { c: "" } }],
  ["long strings of many kinds", [long("x"), { deep: [[long("äöü€😀")]] }, long("y")]],
  [
    "escapes and quotes in long strings",
    { a: long('"\\\n\u0001'), b: `${long("x")}\\`, c: [`\\"${long("x")}"`] },
  ],
  ["lone surrogates", [`${long("x")}\ud800`, "\udfff"]],
  ["quotes after many backslashes", ["\\".repeat(9), `${"\\".repeat(9)}"`, long('\\"')]],
  ["a long key", { [long("k")]: 1, k: long("v") }],
  ["__proto__ as a key", JSON.parse(`{"__proto__":"${long("x")}","a":1}`)],
])("%s", async (_, value) => {
  const text = JSON.stringify(value);
  for (const size of [Number.MAX_SAFE_INTEGER, 65_536, 7, 1])
    expect(await parse(text, new Set(), size)).toEqual(JSON.parse(text));
  expect(JSON.parse(JSON.stringify(await parse(text)))).toEqual(JSON.parse(text));
});

test("a long text under a raw key stays as it arrived, unless it has to be read", async () => {
  const plain = long("plain€");
  const escaped = long("\n");
  const value = (await parse(
    JSON.stringify([{ content: plain }, { content: escaped }, { other: plain }]),
  )) as {
    content: unknown;
    other: unknown;
  }[];
  expect(value[0]?.content).toBeInstanceOf(RawText);
  expect(String(value[0]?.content)).toBe(plain);
  expect(JSON.stringify(value[0]?.content)).toBe(JSON.stringify(plain));
  expect(value[1]?.content).toBe(escaped);
  expect(value[2]?.other).toBe(plain);
});

test.each([
  ["a raw text", [`{"content":"${long("x")}`, '"}']],
  ["another long text", [`{"a":"${long("x")}`, '"}']],
  ["a text with escapes", [`{"content":"\\n${long("x")}`, '"}']],
  ["what is left", ['{"a":"', `","content":"${long("x")}"}`]],
])("bytes that are no UTF-8 in %s are refused", async (_, [before = "", after = ""]) => {
  const bytes = Buffer.concat([Buffer.from(before), Buffer.from([0xff]), Buffer.from(after)]);
  await expect(parseLargeJson(chunksOf(bytes, 65_536), RAW)).rejects.toThrow(NotUtf8);
});

test.each([
  ["cut off in a long string", `["${long("x")}`],
  ["a control character in a long string", `["${long("x")}\n"]`],
  ["an escape that is none in a long string", `["${long("x")}\\x"]`],
  ["no JSON around a long string", `{"a":"${long("x")}",}`],
])("%s is an error of syntax", (_, text) => expect(parse(text)).rejects.toThrow(SyntaxError));

test("millions of small things are refused before they are made", async () => {
  for (const text of [
    `[${"[],".repeat(2_000_000)}[]]`,
    `[${'"",'.repeat(2_000_000)}""]`,
    " ".repeat(5_000_000),
  ])
    expect(parse(text)).rejects.toThrow(TooMuchStructure);
  await expect(parse(`${"[".repeat(300)}"${long("x")}"${"]".repeat(300)}`)).rejects.toThrow(TooDeeplyNested);
});
