// Generates HTTP requests, and long-polling bodies, that are wrong in every way we could think of.
import { oddJson, oddPackets } from "./malformed-frames.ts";
import type { Random } from "./random.ts";

const POST_ROUTES = [
  "/v1/auth",
  "/v1/auth/request",
  "/v1/auth/response",
  "/v1/auth/account/request",
  "/v1/sessions",
  "/v1/machines",
  "/v1/artifacts",
  "/v1/kv",
  "/v1/push-tokens",
  "/v1/account/settings",
  "/v1/usage/query",
  "/v1/friends/add",
];
const FIELDS =
  "publicKey challenge signature response tag metadata messages content localId id token settings expectedVersion mutations key value version".split(
    " ",
  );

export interface KnownIds {
  readonly token: string;
  readonly session: string;
  readonly machine: string;
}

/** Bytes of one or several requests on one connection. */
export function oddRequest(random: Random, known: KnownIds): string | Uint8Array {
  const auth = random.chance(0.6) ? `Authorization: Bearer ${known.token}\r\n` : oddAuthorization(random);
  const kinds: (() => string | Uint8Array)[] = [
    () => random.bytes(random.whole(1, 500)),
    () => requestLine(random),
    () => `GET ${oddPath(random)} HTTP/1.1\r\nHost: x\r\n${auth}\r\n`,
    () =>
      `${random.pick(["GET", "POST", "DELETE", "PUT", "HEAD"])} ${target(random, known)} HTTP/1.1\r\nHost: x\r\n${auth}\r\n`,
    () => `GET /v1/sessions HTTP/1.1\r\nHost: x\r\n${auth}${oddHeaders(random)}\r\n`,
    () => withJson(random, known, auth),
    () => withJson(random, known, auth),
    () => withJson(random, known, auth),
    () => truncated(random, withJson(random, known, auth)),
    () => oddLength(random, auth),
    () => oddChunks(random, auth),
    () => `${oddUpgrade(random)}${random.text(30)}`,
    () => [withJson(random, known, auth), withJson(random, known, auth), requestLine(random)].join(""),
  ];
  return random.pick(kinds)();
}

/** The body of a long-polling POST. */
export function oddPayload(random: Random, known: KnownIds): string {
  const packets = Array.from({ length: random.whole(0, 4) }, () => oddPackets(random, [known.token])).flat();
  return packets.join(random.pick(["\x1e", "\x1e", "\x1e\x1e", "\n", ""]));
}

function requestLine(random: Random): string {
  const lines = [
    "GET / HTTP/0.9",
    "GET / HTTP/2.0",
    "GET /",
    "GET  /  HTTP/1.1",
    "get / http/1.1",
    " GET / HTTP/1.1",
    "PRI * HTTP/2.0\r\n\r\nSM",
    "GET http://elsewhere/v1/sessions HTTP/1.1",
    "GET * HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "CONNECT x:1 HTTP/1.1",
    "TRACE / HTTP/1.1",
    `${"M".repeat(300)} / HTTP/1.1`,
    `GET /${"a".repeat(20_000)} HTTP/1.1`,
    "GET /\0 HTTP/1.1",
    `G${random.text(3)}T /${random.text(10)} HTTP/1.1`,
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  ];
  return `${random.pick(lines)}\r\n${random.chance(0.7) ? "Host: x\r\n" : ""}\r\n`;
}

function oddPath(random: Random): string {
  const pieces = [
    "%",
    "%zz",
    "%00",
    "%2e%2e",
    "%c0%af",
    "%ff",
    "%E0%A4%A",
    "..",
    ".",
    "//",
    "\\",
    "%2F",
    "%25",
    ";",
    "?",
    "#",
    "|",
    "é",
    "v1",
    "sessions",
    "__proto__",
    "%20",
    "+",
    "x".repeat(150),
  ];
  const path = Array.from({ length: random.whole(1, 6) }, () => random.pick(pieces)).join(
    random.pick(["/", "", "//"]),
  );
  return `/${path}${random.chance(0.3) ? `?${random.text(10).replace(/[\s\r\n]/g, "")}=%&a=b&a=c&__proto__=x&limit=${random.pick(["NaN", "-1", "1e9", "", "0x1"])}` : ""}`;
}

function target(random: Random, { session, machine }: KnownIds): string {
  const id = random.pick([session, machine, "", "x".repeat(101), "%2F", "%00", "..", "__proto__"]);
  const odd = random.pick(["-1", "abc", "", "1e400", "1.5", "%20", "9".repeat(30), "%F0%9F%92%A9"]);
  return random.pick([
    `/v3/sessions/${id}/messages?after_seq=${odd}&limit=${odd}`,
    `/v3/sessions/${id}/messages?before_seq=${odd}&after_seq=1`,
    `/v2/sessions?cursor=${odd}&limit=${odd}&changedSince=${odd}`,
    `/v1/sessions/${id}`,
    `/v1/sessions/${id}/archive`,
    `/v1/machines/${id}`,
    `/v1/updates/?EIO=${odd}&transport=${random.pick(["polling", "websocket", "x", ""])}&sid=${odd}`,
    `/v1/updates/?EIO=4&EIO=3&transport=polling&transport=websocket`,
    `/v1/updates?EIO=4`,
  ]);
}

function oddAuthorization(random: Random): string {
  const values = [
    "Bearer",
    "Bearer ",
    "bearer x",
    "Basic eDp5",
    "Bearer a.b.c",
    "Bearer ..",
    `Bearer ${"x".repeat(10_000)}`,
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    `Bearer ${random.text(20).replace(/[\r\n]/g, "")}`,
  ];
  return random.chance(0.3) ? "" : `Authorization: ${random.pick(values)}\r\n`;
}

function oddHeaders(random: Random): string {
  const headers = [
    "NoColon",
    ": empty",
    "X: \0",
    " X: folded",
    "X : space",
    `X-Long: ${"y".repeat(20_000)}`,
    `${"Z".repeat(5_000)}: 1`,
    "Host: other",
    "Host: a b/c?d#e",
    "Host: [::1",
    "Host: ",
    "Connection: close, upgrade, keep-alive",
    "Expect: 100-continue",
    "Expect: the unexpected",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Content-Encoding: gzip",
    "Range: bytes=-1",
    "X-Forwarded-For: 1.2.3.4, ::1, garbage",
    "Cookie: ;;;===",
    "X-Happy-Client: \xff\xfe",
    ...Array.from({ length: 3 }, () => `X-${random.whole(0, 99)}: ${random.text(20).replace(/[\r\n]/g, "")}`),
  ];
  return Array.from(
    { length: random.whole(1, random.chance(0.1) ? 150 : 4) },
    () => `${random.pick(headers)}\r\n`,
  ).join("");
}

function withJson(random: Random, { token, session, machine }: KnownIds, auth: string): string {
  const path = random.pick([
    ...POST_ROUTES,
    `/v3/sessions/${session}/messages`,
    `/v1/sessions/${session}/archive`,
  ]);
  const method = random.pick(["POST", "POST", "POST", "PUT", "DELETE", "GET"]);
  const known = [token, session, machine];
  const fields = Array.from(
    { length: random.whole(1, 6) },
    () => `${JSON.stringify(random.pick(FIELDS))}:${oddJson(random, known)}`,
  );
  const body = random.pick([
    `{${fields.join(",")}}`,
    `{${fields.join(",")}`,
    oddJson(random, known),
    `{"messages":[${Array.from({ length: random.whole(0, 120) }, () => oddJson(random).slice(0, 200)).join(",")}]}`,
    '{"tag":"a","tag":null,"metadata":"m",}',
    "\ufeff{}",
    "",
    random.text(50),
    "[".repeat(random.whole(1, 50_000)),
  ]);
  const type = random.pick([
    "application/json",
    "application/json",
    "application/json; charset=utf-8",
    "application/json;;;",
    "text/plain",
    "application/octet-stream",
    "image/png",
    "",
    "a/b/c",
    "APPLICATION/JSON",
  ]);
  return `${method} ${path} HTTP/1.1\r\nHost: x\r\n${auth}Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function truncated(random: Random, request: string): string {
  return request.slice(0, random.whole(1, Math.max(1, request.length - 1)));
}

function oddLength(random: Random, auth: string): string {
  const lengths = [
    "-1",
    "abc",
    "1e3",
    "0x10",
    "",
    "99999999999999999999",
    "104857601",
    "4, 4",
    "4\r\nContent-Length: 5",
    "+4",
    "4 4",
  ];
  const head = `POST /v1/sessions HTTP/1.1\r\nHost: x\r\n${auth}Content-Type: application/json\r\n`;
  return `${head}Content-Length: ${random.pick(lengths)}\r\n${random.chance(0.2) ? "Transfer-Encoding: chunked\r\n" : ""}\r\n{"a"`;
}

function oddChunks(random: Random, auth: string): string {
  const chunks = [
    "5\r\nhello\r\n0\r\n\r\n",
    "zz\r\nhello\r\n",
    "-1\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\nx",
    "5\r\nhel",
    "0\r\n\r\n0\r\n\r\n",
    "5;ext=\0\r\nhello\r\n0\r\n\r\n",
    "\r\n",
    "100000\r\nx",
    "1\r\nab\r\n0\r\n\r\n",
    "0\r\nTrailer: x\r\n\r\n",
  ];
  const path = random.pick([
    "/v1/sessions",
    "/v1/auth",
    "/v1/updates/?EIO=4&transport=polling&sid=x",
    "/nowhere",
  ]);
  return `POST ${path} HTTP/1.1\r\nHost: x\r\n${auth}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${random.pick(chunks)}`;
}

function oddUpgrade(random: Random): string {
  const path = random.pick([
    "/",
    "/v1/sessions",
    "/v1/updates/?EIO=4&transport=websocket",
    "/v1/updates/?EIO=4&transport=websocket&sid=unknown",
    "/v1/updates/?EIO=4&transport=polling",
    "/v1/updates/",
  ]);
  const headers = [
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Upgrade: \0",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: short",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 99",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Extensions: permessage-deflate; x=y",
    "Sec-WebSocket-Protocol: a, b",
  ];
  const some = headers.filter(() => random.chance(0.6));
  return `${random.pick(["GET", "GET", "POST"])} ${path} HTTP/1.1\r\nHost: x\r\n${some.map((header) => `${header}\r\n`).join("")}\r\n`;
}
