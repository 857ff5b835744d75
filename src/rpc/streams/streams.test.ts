// What a stream holds is given back also where its answer is never asked for: the client left before Bun came to it.
import { afterEach, expect, test } from "bun:test";
import { type RpcRoom, rpcRoom, stream } from "../../../test/support/rpc-room.ts";
import { until } from "../../../test/support/until.ts";
import { DEFAULT_DOCUMENT } from "../document/document.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import { type AdmittedStream, isAdmitted } from "../pipeline/pipeline.ts";
import { messageWriter } from "./frame-writer.ts";

const rooms: RpcRoom[] = [];
afterEach(async () => {
  for (const room of rooms.splice(0)) await room.stop();
});

const FACTS = { clientAddress: "127.0.0.1", extendIdle: () => {} };

async function admitted(): Promise<{ room: RpcRoom; stream: AdmittedStream }> {
  const room = await rpcRoom();
  rooms.push(room);
  const incoming: Partial<Incoming> = {
    transport: "rest",
    kind: "stream",
    message: stream("Count", { n: 1 }),
    headers: new Headers(),
    config: DEFAULT_DOCUMENT,
    startedAt: performance.now(),
    peer: { address: "127.0.0.1", isLoopback: true, certificate: null },
  };
  const one = await room.pipeline.stream(incoming as Incoming);
  if (!isAdmitted(one)) throw new Error("refused");
  return { room, stream: one };
}

const held = ({ guards, streams }: RpcRoom) => [
  [...guards.bulkheads()].map(({ active }) => active),
  streams.list.size,
  streams.resumable,
];

function request() {
  const abort = new AbortController();
  return { abort, request: new Request("http://x/", { method: "POST", signal: abort.signal }) };
}

test("of a client that left before or after the answer was made", async () => {
  for (const isLate of [false, true]) {
    const { room, stream: one } = await admitted();
    const { abort, request: asked } = request();
    if (!isLate) abort.abort();
    const answer = room.streams.open(one, { request: asked, facts: FACTS, writer: messageWriter });
    expect(answer).toBeInstanceOf(Response);
    if (isLate) {
      expect(held(room)).toEqual([[1], 1, 0]);
      abort.abort();
    }
    expect(held(room)).toEqual([[0], 0, 0]);
  }
});

test("of one that may come back, when it does not", async () => {
  const { room, stream: one } = await admitted();
  const { abort, request: asked } = request();
  room.streams.open(one, { request: asked, facts: FACTS, writer: messageWriter, resumeSeconds: 0.05 });
  abort.abort();
  expect(held(room)).toEqual([[1], 1, 1]);
  await until("it to be given up", () => room.streams.resumable === 0);
  expect(held(room)).toEqual([[0], 0, 0]);
});

test("while the server stops, no stream begins", async () => {
  const { room, stream: one } = await admitted();
  room.streams.endAnswers();
  const { request: asked } = request();
  const refused = room.streams.open(one, { request: asked, facts: FACTS, writer: messageWriter });
  expect(refused).toMatchObject({ http: 503, response: { error: { code: 5002 } } });
  expect(held(room)).toEqual([[0], 0, 0]);
});
