// What a caller is told of a handler whose own call to something else failed, over real sockets.
import { afterAll, expect, test } from "bun:test";
import type { Call } from "./call.ts";
import { HandlerContext } from "./handler-context.ts";

const stop: (() => void)[] = [];
afterAll(() => {
  for (const one of stop) one();
});

const ended = new AbortController();
const context = (signal = new AbortController().signal) =>
  new HandlerContext({ trace: undefined, signal } as Call, undefined as never);

async function failure(url: string, init?: RequestInit, of = context()): Promise<unknown> {
  return of.fetch(url, init).then(
    () => "answered",
    ({ code, name }) => code ?? name,
  );
}

/** A peer that answers each connection so. */
function peer(open: (socket: { end(): void }) => void): string {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { open, data() {} } });
  stop.push(() => server.stop(true));
  return `http://127.0.0.1:${server.port}/`;
}

test("what is not reached is 6002, what is late 6001, what breaks off 6000", async () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  expect(await failure(`http://127.0.0.1:${port}/`)).toBe(6002);
  expect(await failure("http://nobody.invalid/")).toBe(6002);
  expect(await failure(peer((socket) => socket.end()))).toBe(6000);
  const silent = peer(() => {});
  expect(await failure(silent, { signal: AbortSignal.timeout(50) })).toBe(6001);
});

test("the end of the handler's own call, and a mistake of the handler, stay what they are", async () => {
  const silent = peer(() => {});
  const waits = failure(silent, undefined, context(ended.signal));
  ended.abort();
  // An AbortError: the number is the DOM's.
  expect(await waits).toBe(20);
  expect(await failure("no address")).toBe("ERR_INVALID_URL");
});
