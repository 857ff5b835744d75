// The address given back begins with the one that the client uses, for every way that people put a server behind something.
import { expect, test } from "bun:test";
import { clientUrl } from "./client-url.ts";

type Headers = Record<string, string>;
const PUBLIC = "https://happy.example";

const table: [
  what: string,
  headers: Headers,
  trusted: boolean,
  publicUrl: string | undefined,
  url: string,
][] = [
  ["straight, no public address", { host: "10.0.0.5:3005" }, false, undefined, "http://10.0.0.5:3005"],
  [
    "straight on the LAN of a public server",
    { host: "10.0.0.5:3005" },
    false,
    PUBLIC,
    "http://10.0.0.5:3005",
  ],
  [
    "straight by loopback, a public server",
    { host: "localhost:3005" },
    true,
    PUBLIC,
    "http://localhost:3005",
  ],
  ["IPv6", { host: "[::1]:3005" }, true, undefined, "http://[::1]:3005"],
  [
    "a proxy that tells everything",
    { host: "127.0.0.1:3005", "x-forwarded-host": "h.example", "x-forwarded-proto": "https" },
    true,
    undefined,
    "https://h.example",
  ],
  [
    "the same, of another name than the public one",
    { host: "127.0.0.1:3005", "x-forwarded-host": "h.example", "x-forwarded-proto": "https" },
    true,
    PUBLIC,
    "https://h.example",
  ],
  [
    "a chain of proxies",
    { host: "x", "x-forwarded-host": "h.example, inner", "x-forwarded-proto": "https, http" },
    true,
    undefined,
    "https://h.example",
  ],
  [
    "somebody who is no trusted proxy",
    { host: "h.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https" },
    false,
    undefined,
    "http://h.example",
  ],
  ["a proxy that keeps Host and tells no scheme", { host: "happy.example" }, true, PUBLIC, PUBLIC],
  ["an untrusted proxy that keeps Host", { host: "happy.example" }, false, PUBLIC, PUBLIC],
  ["a default port that is written out", { host: "happy.example:443" }, false, PUBLIC, PUBLIC],
  [
    "a proxy that keeps Host without its port",
    { host: "happy.example" },
    true,
    "https://happy.example:8443",
    "https://happy.example:8443",
  ],
  [
    "the LAN port of the public name",
    { host: "happy.example:3005" },
    false,
    PUBLIC,
    "http://happy.example:3005",
  ],
  [
    "plain http beside a public https",
    { host: "happy.example", "x-forwarded-proto": "http" },
    true,
    PUBLIC,
    "http://happy.example",
  ],
  [
    "a proxy that replaces Host by a loopback address",
    { host: "127.0.0.1:3005", "x-forwarded-for": "9.9.9.9" },
    true,
    PUBLIC,
    PUBLIC,
  ],
  ["a path before everything", { host: "happy.example" }, true, `${PUBLIC}/sync/`, `${PUBLIC}/sync`],
  ["no Host at all", {}, false, `${PUBLIC}/`, PUBLIC],
  ["no Host and no public address", {}, false, undefined, "http://localhost:3005"],
  ["a Host that is none", { host: 'a"b/..' }, false, undefined, "http://localhost:3005"],
  [
    "forwarded headers that are none",
    { host: "h", "x-forwarded-host": "a/b", "x-forwarded-proto": "javascript" },
    true,
    undefined,
    "http://h",
  ],
];
test.each(table)("%s", (_, headers, trustedProxy, publicUrl, url) => {
  const request = new Request("http://server/v1", { headers });
  expect(clientUrl(request, { trustedProxy, isSecure: false }, { publicUrl, port: 3005 })).toBe(url);
});

test("the scheme is that of the connection, whatever stands in the request line", () => {
  const schemes = ["http://server/v1", "https://server/v1"].flatMap((url) =>
    [false, true].map((isSecure) =>
      clientUrl(
        new Request(url, { headers: { host: "h:1" } }),
        { trustedProxy: false, isSecure },
        { publicUrl: undefined, port: 3005 },
      ),
    ),
  );
  expect(schemes).toEqual(["http://h:1", "https://h:1", "http://h:1", "https://h:1"]);
});
