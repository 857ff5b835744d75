// The text of parameters is the same JSON however it was put together.
import { expect, test } from "bun:test";
import { JsonText } from "../../server/json-text.ts";
import { paramsText } from "./params-text.ts";

const large = "QUFB".repeat(100_000);

test("small parameters, and large ones that JSON must escape, are JSON text", () => {
  expect(paramsText({ a: 1, b: undefined })).toBe('{"a":1}');
  expect(paramsText(undefined)).toBe("{}");
  const escaped = { text: `"${large}`, also: `${large}\n` };
  expect(paramsText(escaped)).toBe(JSON.stringify(escaped));
});

test("a large file among them is the same JSON string as without the short cut", () => {
  for (const params of [
    { content: large },
    { sessionId: 's"\\ü\n', filename: "a\u2028b", gone: undefined, content: `${large}==`, mimeType: "a/b" },
    { first: large, second: `${large}=` },
  ]) {
    const text = paramsText(params);
    if (!(text instanceof JsonText)) throw new Error("the short cut was not taken");
    expect(text.text).toBe(JSON.stringify(JSON.stringify(params)));
    expect(text.bytes).toBe(Buffer.byteLength(text.text));
  }
});
