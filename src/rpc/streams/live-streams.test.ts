// The list of streams: who finds which, for how long, and that nothing stays.
import { expect, test } from "bun:test";
import { DEFAULT_DOCUMENT } from "../document/document.ts";
import { Call, NOBODY } from "../pipeline/call.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import { type RpcRequest, readRequest } from "../wire/request.ts";
import { LiveStream } from "./live-stream.ts";
import { type Found, LiveStreams, type Owner } from "./live-streams.ts";

const A: Owner = { tenant: "t", principal: "a", verified: true };

const read = readRequest({ id: "r", method: "rpc.v2/S/H" }, "string");
const { request } = read as typeof read & { readonly request: RpcRequest };

function made(list: LiveStreams, { tenant, principal, verified }: Owner, id = "r"): LiveStream {
  const call = new Call({ config: DEFAULT_DOCUMENT } as Incoming);
  call.id = id;
  call.request = request;
  call.tenant = tenant;
  call.identity = { ...NOBODY, id: principal, verified };
  call.method = { service: `Of${principal}`, handler: "H", source: "builtin", run: () => {} };
  const stream = new LiveStream(
    {
      call,
      slot: { release: () => {} },
      ticket: { succeeded: () => {}, failed: () => {}, ignored: () => {} },
    },
    {
      blocking: undefined as never,
      log: undefined as never,
      unexpected: () => {},
      sent: () => {},
      ended: (one) => list.end(one),
    },
  );
  list.add(stream);
  return stream;
}
const byId = ({ id }: LiveStream) => ({ streamId: id, requestId: undefined });
const byRequest = (requestId: string) => ({ streamId: undefined, requestId });

test("a stream is its owner's alone", () => {
  const list = new LiveStreams();
  const stream = made(list, A);
  expect((list.find(byId(stream), A) as Found).live).toBe(stream);
  expect((list.find(byRequest("r"), A) as Found).live).toBe(stream);
  for (const other of [
    { ...A, tenant: "u" },
    { ...A, principal: "b" },
    { ...A, verified: false },
  ]) {
    expect(list.find(byId(stream), other)).toBeUndefined();
    expect(list.find(byRequest("r"), other)).toBeUndefined();
  }
  expect(list.find({ streamId: stream.id, requestId: "another" }, A)).toBeUndefined();
});

test("an owner that proved nothing finds its stream by the id that nobody can guess", () => {
  const list = new LiveStreams();
  const nobody = { ...A, verified: false };
  const stream = made(list, nobody);
  expect((list.find(byId(stream), nobody) as Found).live).toBe(stream);
  expect(list.find(byRequest("r"), nobody)).toBeUndefined();
});

test("names that look alike are told apart; two of one request are none", () => {
  const list = new LiveStreams();
  const one = made(list, { ...A, tenant: 't","a' }, "r");
  expect(list.find(byRequest("r"), A)).toBeUndefined();
  const [first] = [made(list, A), made(list, A)];
  expect(list.find(byRequest("r"), A)).toBe("several");
  first?.disconnected();
  expect((list.find(byRequest("r"), A) as Found).live).toBeDefined();
  one.disconnected();
});

test("one that is over is known for a minute", () => {
  let now = 0;
  const list = new LiveStreams(() => now);
  const stream = made(list, A);
  stream.cancel("r");
  expect(list.size).toBe(0);
  const found = list.find(byId(stream), A) as Found;
  expect([found.live, found.facts.state]).toEqual([undefined, "cancelled"]);
  expect(list.find(byRequest("r"), A)).toBeUndefined();
  now = 60_000;
  expect(list.find(byId(stream), A)).toBeDefined();
  now = 60_001;
  expect(list.find(byId(stream), A)).toBeUndefined();
  list.sweep();
  expect(list.remembered).toBe(0);
});

test("it has a size, and remembers no more than ten thousand", () => {
  const list = new LiveStreams(undefined, 2);
  const [first] = [made(list, A, "1"), made(list, A, "2")];
  expect([list.isFull, list.byService()]).toEqual([true, new Map([["Ofa", 2]])]);
  first?.disconnected();
  expect(list.isFull).toBe(false);
  const oldest = first as LiveStream;
  for (let at = 0; at < 10_000; at++) made(list, A, `${at}`).disconnected();
  expect(list.remembered).toBe(10_000);
  expect(list.find(byId(oldest), A)).toBeUndefined();
});
