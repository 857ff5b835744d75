// Which texts are domains, and what becomes of them (topics contract, 5.1).
import { expect, test } from "bun:test";
import { domainLines, normalDomain, normalDomains } from "./domains.ts";

test.each([
  ["Example.COM", "example.com"],
  ["  example.com  ", "example.com"],
  ["example.com.", "example.com"],
  ["example.com:8080", "example.com"],
  ["*.example.com", "*.example.com"],
  ["a-b.c1.example", "a-b.c1.example"],
  [`${"a".repeat(251)}.com`, `${"a".repeat(251)}.com`],
])("%s is %s", (text, domain) => {
  expect(normalDomain(text)).toBe(domain);
});

test.each([
  "",
  "   ",
  "localhost",
  "1.2.3.4",
  "1.2.3.4:80",
  "[::1]",
  "::1",
  ".example.com",
  "-example.com",
  "example.com..",
  "exam ple.com",
  "exam_ple.com",
  "exämple.com",
  "http://example.com",
  "example.com/path",
  `${"a".repeat(252)}.com`,
])("%j is refused", (text) => {
  expect(() => normalDomain(text)).toThrow("is not a domain");
});

test("the first of equal domains stays, in its place", () => {
  expect(normalDomains(["b.example", "A.example", "B.example."])).toEqual(["b.example", "a.example"]);
});

test("a line is a website, blank ones are not, and numbers are those of the text", () => {
  expect(domainLines("a.example  b.example\n\n \t\r\nc.example\r\n")).toEqual([
    { line: 1, domains: ["a.example", "b.example"] },
    { line: 4, domains: ["c.example"] },
  ]);
});
