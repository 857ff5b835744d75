// Addresses of other people's services: what an operator gives as a base stays whole.
import { expect, test } from "bun:test";
import { serviceUrl } from "./service-call.ts";

test.each([
  ["https://a.example", "/v1/x", {}, "https://a.example/v1/x"],
  ["https://a.example/", "/v1/x", {}, "https://a.example/v1/x"],
  ["https://a.example/base//", "/x", { q: "a b&c" }, "https://a.example/base/x?q=a+b%26c"],
  ["https://a.example/base?version=2", "/x", {}, "https://a.example/base/x?version=2"],
  [
    "https://a.example/base/?version=2&key=a%2Fb",
    "/x",
    { q: "1" },
    "https://a.example/base/x?version=2&key=a%2Fb&q=1",
  ],
  ["https://a.example?model=theirs", "/x", { model: "ours" }, "https://a.example/x?model=ours"],
  ["https://a.example/base#part", "/x", {}, "https://a.example/base/x"],
  ["http://[::1]:8000/v1", "/@scope%2fname", {}, "http://[::1]:8000/v1/@scope%2fname"],
  [
    "https://a.example",
    `/v1/${encodeURIComponent("a/b?c#d ü")}`,
    {},
    "https://a.example/v1/a%2Fb%3Fc%23d%20%C3%BC",
  ],
] as [string, string, Record<string, string>, string][])(
  "%s with %s and %j is %s",
  (base, path, query, whole) => {
    expect(serviceUrl(base, path, query)).toBe(whole);
  },
);
