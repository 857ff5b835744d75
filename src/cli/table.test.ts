// Holds tables to: columns that line up as a terminal shows them, and no text from elsewhere that steers the terminal.
import { expect, test } from "bun:test";
import { columns, plain, plainLines, size, table, when } from "./table.ts";

test("columns are as wide as what is in them, and no line ends in blanks", () => {
  expect(
    table(
      ["NAME", "SIZE", "SEEN"],
      [
        ["a", "1.0 KiB", "now"],
        ["a longer one", "", ""],
      ],
    ),
  ).toBe("NAME          SIZE     SEEN\na             1.0 KiB  now\na longer one\n");
  expect(table(["NAME", "SIZE"], [])).toBe("NAME  SIZE\n");
  expect(columns([])).toBe("");
  expect(columns([["a"], ["bb", "c"]])).toBe("a\nbb  c\n");
});

test("wide, combined and emoji characters keep the columns under each other", () => {
  const lines = table(
    ["NAME", "X"],
    ["漢字かな", "cafe\u0301", "café", "👍 ok", "ｆｕｌｌ", "하나", "plain"].map((name) => [name, "|"]),
  ).split("\n");
  for (const line of lines.slice(1, -1)) {
    const [before = ""] = line.split("|");
    expect([line, Bun.stringWidth(before)]).toEqual([line, 10]);
  }
});

test.each([
  ["a color", "\u001b[31mred\u001b[0m", "?[31mred?[0m"],
  ["a screen that is cleared", "cli/1\u001b[2J\u001b[H", "cli/1?[2J?[H"],
  ["a title", "\u001b]0;owned\u0007name", "?]0;owned?name"],
  ["a link", "\u001b]8;;https://a.example\u001b\\click", "?]8;;https://a.example?\\click"],
  ["an escape that is not finished", "a\u001b", "a?"],
  ["a line that is written over", "harmless\r\u0008evil\n", "harmless??evil?"],
  ["C1 controls", "a\u0085b\u0090", "a?b?"],
  ["a direction that is turned", "user\u202egnp.exe", "user?gnp.exe"],
  ["characters that nobody sees", "ad\u200bmin\u2066", "ad?min?"],
  ["line separators", "a\u2028b\u2029c", "a?b?c"],
  ["half a character", "a\ud800", "a?"],
  ["NUL", "a\0b", "a?b"],
  ["an ordinary name", "Zoë 漢字 👍 (phone)", "Zoë 漢字 👍 (phone)"],
])("%s is shown plainly", (_, text, shown) => {
  expect(plain(text)).toBe(shown);
  expect(table(["A", "B"], [[text, "b"]]).split("\n")[1]).toStartWith(shown);
});

test("no text leaves a byte that a terminal acts on", () => {
  for (let code = 0; code < 0x300; code++) {
    const shown = plain(`${String.fromCharCode(code)}[2J${String.fromCharCode(code)}]0;x\u0007`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be gone
    expect([code, /[\0-\x1f\x7f-\x9f]/.test(shown)]).toEqual([code, false]);
  }
});

test("lines of ours stay lines", () => {
  expect(plainLines("Usage:\n  roost \u001b[2Jx\n")).toBe("Usage:\n  roost ?[2Jx\n");
});

test("times and sizes", () => {
  expect(when(1_700_000_000_000)).toBe("2023-11-14 22:13Z");
  expect([0, 1, 1023, 1024, 2_306_867, 2 ** 50].map(size)).toEqual([
    "0 B",
    "1 B",
    "1023 B",
    "1.0 KiB",
    "2.2 MiB",
    "1024.0 TiB",
  ]);
});
