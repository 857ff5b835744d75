// A form in its bytes: as browsers write it, also with bytes in a file that look like a delimiter, and whatever is none.
import { expect, test } from "bun:test";
import { formParts } from "./multipart.ts";

const TYPE = "multipart/form-data; boundary=XX";
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text));
const seen = (text: string, type: string | null = TYPE) =>
  formParts(bytesOf(text), type)?.map(({ name, filename, type: said, bytes }) => [
    name,
    filename,
    said,
    Buffer.from(bytes).toString(),
  ]);

const field = (name: string, value: string) =>
  `--XX\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (name: string, filename: string, value: string) =>
  `--XX\r\ncontent-disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: audio/webm;codecs=opus\r\n\r\n${value}\r\n`;

test("what Bun itself writes comes apart into the same parts", async () => {
  const form = new FormData();
  form.append("provider", "openai");
  form.append("empty", "");
  const sound = crypto.getRandomValues(new Uint8Array(100_000));
  form.append("file", new Blob([sound], { type: "audio/webm" }), 'a "b".webm');
  const request = new Request("http://x", { method: "POST", body: form });
  const type = request.headers.get("content-type");
  const parts = formParts(new Uint8Array(await request.arrayBuffer()), type);
  expect(parts?.map(({ name, filename }) => [name, filename])).toEqual([
    ["provider", undefined],
    ["empty", undefined],
    ["file", 'a "b".webm'],
  ]);
  expect(parts?.map(({ bytes }) => bytes.byteLength)).toEqual([6, 0, 100_000]);
  expect(Buffer.from(parts?.[2]?.bytes ?? []).equals(Buffer.from(sound))).toBeTrue();
});

test("a part is told by its delimiter alone", () => {
  expect(
    seen(`${field("a", "1\r\n--X\r\n--")}${file("file", "x%22y.webm", "--XX\r\nno\r\n\r\n")}--XX--\r\n`),
  ).toEqual([
    ["a", undefined, "", "1\r\n--X\r\n--"],
    ["file", 'x"y.webm', "audio/webm;codecs=opus", "--XX\r\nno\r\n\r\n"],
  ]);
  expect(
    seen(`nobody's\r\n${field("a", "")}--XX--`, 'Multipart/Form-Data; charset=utf-8; boundary="XX"'),
  ).toEqual([["a", undefined, "", ""]]);
  expect(seen("--XX--")).toEqual([]);
});

test.each([
  ["no form", "hello", TYPE],
  ["no type", field("a", "1"), null],
  ["another type", field("a", "1"), "application/json"],
  ["no boundary", field("a", "1"), "multipart/form-data"],
  ["a boundary that is too long", field("a", "1"), `multipart/form-data; boundary=${"x".repeat(71)}`],
  ["nothing", "", TYPE],
  ["one that is cut short", `${field("a", "1")}${file("file", "x", "half").slice(0, -2)}`, TYPE],
  ["one without its end", field("a", "1"), TYPE],
  ["a part without a name", "--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--", TYPE],
  ["a head that does not end", `--XX\r\n${"x".repeat(20_000)}\r\n\r\n1\r\n--XX--`, TYPE],
  ["too many parts", `${field("a", "1").repeat(65)}--XX--`, TYPE],
])("%s is refused", (_, text, type) => {
  expect(seen(text, type)).toBeUndefined();
});
