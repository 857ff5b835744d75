// What is decided without asking anybody: which phones refuse an address, whose an answer is, and how findings are shown.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CHECKS, type Finding } from "../../doctor/finding.ts";
import { isOwnRefusal } from "../../doctor/http-probe.ts";
import { checkPlainHttp, placeOf } from "../../doctor/outside.ts";
import { report, summary } from "../../doctor/report.ts";
import { happy } from "../protocol.ts";

test.each([
  ["localhost", "machine"],
  ["127.0.0.53", "machine"],
  ["[::1]", "machine"],
  ["192.168.1.20", "lan"],
  ["10.1.2.3", "lan"],
  ["172.31.0.1", "lan"],
  ["169.254.1.1", "lan"],
  ["[fd00::1]", "lan"],
  ["[fe80::1]", "lan"],
  ["nas", "lan"],
  ["nas.local", "lan"],
  ["172.32.0.1", "internet"],
  ["100.64.0.2", "internet"],
  ["203.0.113.7", "internet"],
  ["[2001:db8::1]", "internet"],
  ["roost.example.org", "internet"],
])("%s is in the %s", (host, place) => expect(placeOf(host)).toBe(place as never));

test("plain http: a warning on a LAN, a failure elsewhere, and https is fine", () => {
  const at = (url: string) => checkPlainHttp(new URL(url));
  const lan = at("http://192.168.1.20:3005");
  expect(lan.result).toBe("warning");
  expect(lan.says).toMatch(/Android.*refuse.*iPhones allow/s);
  const outside = at("http://roost.example.org");
  expect(outside.result).toBe("failure");
  expect(outside.says).toContain("both refuse");
  expect(Object.keys(outside.proxy ?? {})).toEqual(["nginx", "Caddy", "Traefik", "cloudflared"]);
  expect(at("https://roost.example.org").result).toBe("ok");
});

test.each([
  [401, '{"error":"Missing authorization header"}', true],
  [413, "<html><h1>413 Request Entity Too Large</h1></html>", false],
  [401, '{"message":"sign in first"}', false],
  [200, '{"error":"odd"}', false],
])("a %d with %s is Roost's own refusal: %p", (status, text, own) => {
  expect(isOwnRefusal({ status, text })).toBe(own);
});

test("a failure is shown with the line for each proxy; the last line counts", () => {
  const proxy = { nginx: "a", Caddy: "b", Traefik: "c", cloudflared: "d" };
  const bad: Finding = { check: "upload", result: "failure", says: "Too large.", fix: "Or this.", proxy };
  expect(report(bad, false)).toBe(
    [
      "  FAILURE  upload      Too large.",
      "                       Or this.",
      "                       nginx:       a",
      "                       Caddy:       b",
      "                       Traefik:     c",
      "                       cloudflared: d",
      "",
    ].join("\n"),
  );
  const fine: Finding = { check: "cors", result: "ok", says: "Fine." };
  expect(summary([fine])).toBe("Nothing is wrong.");
  expect(summary([fine, bad, { ...bad, result: "warning" }])).toStartWith("1 failure and 1 warning.");
});

test("every check has its place in docs/what-can-go-wrong.md", () => {
  const docs = readFileSync(join(import.meta.dir, "../../../docs/what-can-go-wrong.md"), "utf8");
  for (const check of [...CHECKS, ...(happy.doctor?.names ?? [])]) expect(docs).toContain(`\n### ${check}\n`);
});
