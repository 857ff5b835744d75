// A snapshot answers as the headers do, also for names that mean something else to an object.
import { afterAll, expect, test } from "bun:test";
import { HeaderSnapshot } from "./header-snapshot.ts";

const asked = [
  "x-one",
  "X-One",
  "x-twice",
  "x-none",
  "set-cookie",
  "__proto__",
  "constructor",
  "toString",
  "hasownproperty",
  "x-latin",
  "x-empty",
  "content-type",
];
const answers: (readonly [string, string | null, boolean])[][] = [];
const server = Bun.serve({
  port: 0,
  fetch: ({ headers }) => {
    const snapshot = new HeaderSnapshot(headers);
    for (const source of [headers, snapshot])
      answers.push(asked.map((name) => [name, source.get(name), source.has(name)]));
    const seen: string[][] = [[], []];
    headers.forEach((value, name) => void seen[0]?.push(name, value));
    snapshot.forEach((value, name) => void seen[1]?.push(name, value));
    return Response.json(Bun.deepEquals(seen[0], seen[1]));
  },
});
afterAll(() => server.stop(true));

test("it answers as the headers of the request do", async () => {
  const lines = [
    "GET / HTTP/1.1",
    "Host: here",
    "X-One: 1",
    "X-Twice: a",
    "X-Twice: b",
    "Set-Cookie: a=1",
    "Set-Cookie: b=2",
    "__proto__: p",
    "Constructor: c",
    "X-Latin: \u00e9",
    "X-Empty:",
    "Content-Type: text/plain",
    "Connection: close",
  ];
  const received = Promise.withResolvers<string>();
  let text = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port ?? 0,
    socket: {
      open: (socket) => void socket.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1")),
      data: (_, chunk) => {
        text += chunk.toString();
      },
      close: () => received.resolve(text),
    },
  });
  expect(await received.promise).toEndWith("true");
  const [plain, snapshot] = answers;
  expect(snapshot).toEqual(plain as never);
  expect(plain?.filter(([, value]) => value !== null).map(([name]) => name)).toEqual([
    "x-one",
    "X-One",
    "x-twice",
    "set-cookie",
    "__proto__",
    "constructor",
    "x-latin",
    "x-empty",
    "content-type",
  ]);
});
