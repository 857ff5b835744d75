// What web pages are told at a Socket.IO path: of one claim exactly what the engine itself would say, of several what any permits.
import { expect, test } from "bun:test";
import { addCorsHeaders, type CorsOptions } from "@socket.io/bun-engine/dist/cors.js";
import type { RequestFacts } from "./request-facts.ts";
import { allowsOrigin, type SocketCors, setCors } from "./socket-cors.ts";

const NO_FACTS = {} as RequestFacts;
const request = (method: string, headers: Record<string, string>) =>
  new Request("http://x/", { method, headers });
const headersFor = (all: readonly SocketCors[], asked: Request) => {
  const headers = new Headers();
  setCors(headers, all, asked, NO_FACTS);
  return Object.fromEntries(headers);
};

const SINGLE: readonly SocketCors[] = [
  { origins: "*", methods: ["GET", "POST", "OPTIONS"], credentials: true, allowedHeaders: ["*"] },
  { origins: "*", methods: ["GET", "POST"] },
  { origins: ["https://a.example", "https://b.example"], methods: ["GET", "POST", "OPTIONS"] },
  { origins: [], methods: ["GET"] },
];
const ASKED = [
  request("GET", {}),
  request("GET", { origin: "https://a.example" }),
  request("POST", { origin: "https://c.example" }),
  request("OPTIONS", {}),
  request("OPTIONS", { origin: "https://b.example", "access-control-request-headers": "authorization" }),
];

test.each(SINGLE)("a claim that is alone says what the engine would: %j", (cors) => {
  const { origins, ...rest } = cors;
  const options = { ...rest, origin: typeof origins === "string" ? origins : [...(origins as string[])] };
  for (const asked of ASKED) {
    const headers = new Headers();
    addCorsHeaders(headers, options as unknown as CorsOptions, asked);
    expect(headersFor([cors], asked)).toEqual(Object.fromEntries(headers));
  }
});

const A: SocketCors = {
  origins: ["https://a.example"],
  methods: ["GET"],
  credentials: true,
  allowedHeaders: ["x-a"],
};
const B: SocketCors = {
  origins: (origin) => origin.endsWith("b.example"),
  methods: ["GET", "POST"],
  allowedHeaders: ["x-b"],
};
const ANY: SocketCors = { origins: "*", methods: ["PUT"] };

test.each([
  ["an origin of the first", [A, B], "https://a.example", "https://a.example", "true"],
  // The credentials are those of pages that the first permits.
  ["an origin of the second", [A, B], "https://b.example", "https://b.example", undefined],
  ["an origin of none", [A, B], "https://c.example", "false", undefined],
  ["every origin, because one permits it", [A, B, ANY], "https://c.example", "*", undefined],
] as const)("of several: %s", (_name, all, origin, allowed, credentials) => {
  const headers = headersFor(all, request("GET", { origin }));
  expect([headers["access-control-allow-origin"], headers["access-control-allow-credentials"]]).toEqual([
    allowed,
    credentials,
  ]);
});

test("a preflight of several permits what any permits", () => {
  const asked = request("OPTIONS", { origin: "https://a.example", "access-control-request-headers": "x-c" });
  expect(headersFor([A, B], asked)).toMatchObject({
    "access-control-allow-methods": "GET,POST",
    "access-control-allow-headers": "x-a,x-b",
  });
  expect(headersFor([A, B, ANY], asked)).toMatchObject({
    "access-control-allow-methods": "GET,POST,PUT",
    "access-control-allow-headers": "x-c",
  });
});

test("a claim's own word about an origin; a program has none", () => {
  const ask = (cors: SocketCors, headers: Record<string, string>) =>
    allowsOrigin(cors, request("GET", headers), NO_FACTS);
  expect(ask(A, { origin: "https://a.example" })).toBe(true);
  expect(ask(A, { origin: "https://b.example" })).toBe(false);
  expect(ask(B, { origin: "https://x.b.example" })).toBe(true);
  expect(ask(ANY, { origin: "https://c.example" })).toBe(true);
  expect(ask(A, {})).toBe(true);
});
