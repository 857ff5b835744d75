// Streams and the connections under them: one whose client does not read, one that is lost and gone on with, and one that ends at another
// node than the one that is asked.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { MemoryExchange } from "../src/bus/memory.ts";
import { createLog } from "../src/observability/log.ts";
import { RawConnection } from "./faults/raw-connection.ts";
import { type RpcRoom, stream } from "./support/rpc-room.ts";
import { rpcStreams } from "./support/rpc-streams.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

const { cleanUp, room, open } = rpcStreams();

describe("a client that does not read", () => {
  const large = {
    service: "LargeService",
    handler: "Run",
    source: "builtin",
    streamingOutput: true,
  } as const;
  const request = (body: object) => {
    const text = JSON.stringify(body);
    return (
      "POST /aduib_rpc/v2/rpc/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
      `Content-Length: ${text.length}\r\n\r\n${text}`
    );
  };

  test("is not worked for: its handler stands still until it reads, and then it gets everything", async () => {
    let given = 0;
    const total = 200;
    const one = await room({
      methods: [
        {
          ...large,
          run: async function* () {
            while (given < total) yield { at: given++, text: "x".repeat(100_000) };
          },
        },
      ],
    });
    const connection = await RawConnection.open(one.port);
    cleanUp(() => connection.destroy());
    connection.write(request({ id: "1", method: "rpc.v2/LargeService/Run" }));
    await connection.until((received) => received.includes('"at":0'), 10_000);
    connection.stopReading();
    let before = -1;
    await until("the handler to stand still", async () => {
      const now = given;
      await Bun.sleep(200);
      const isStill = now === given && now === before;
      before = now;
      return isStill;
    });
    expect(given).toBeLessThan(total);
    expect(one.limits.queues.held()).toBeLessThan(1024 * 1024);
    connection.resumeReading();
    await connection.until((received) => received.includes('"type":"end"'), 20_000);
    expect(given).toBe(total);
    expect(connection.received).toContain(`"total_count":${total}`);
  });

  test("is closed when memory is needed, and its handler hears", async () => {
    let aborts = 0;
    const one = await room({
      maxMemoryBytes: 8 * 1024 * 1024,
      methods: [
        {
          ...large,
          run: async function* (_data, { signal }) {
            signal.addEventListener("abort", () => aborts++);
            for (;;) yield { text: "x".repeat(12 * 1024 * 1024) };
          },
        },
      ],
    });
    const connection = await RawConnection.open(one.port);
    cleanUp(() => connection.destroy());
    connection.write(request({ id: "1", method: "rpc.v2/LargeService/Run" }));
    await connection.until((received) => received.includes("200 OK"), 10_000);
    connection.stopReading();
    await until("the handler to hear", () => aborts === 1);
    expect([one.streams.list.size, one.limits.queues.held()]).toEqual([0, 0]);
    expect([...one.guards.bulkheads()].map(({ active }) => active)).toEqual([0]);
    expect(one.heard).toContain("cancelled stream by disconnect");
  });
});

describe("a stream that survives a lost connection", () => {
  const many = (more: object = {}) => stream("Count", { n: 40, delay_ms: 20 }, more);
  const resume = { "x-aduib-resume": "30" };
  const goOn = (one: RpcRoom, id: string, after: number, headers: Record<string, string> = {}) =>
    open(one.url, undefined, { "x-aduib-stream-id": id, "last-event-id": String(after), ...headers });
  const refusal = async (work: Promise<unknown>) =>
    String(
      await work.then(
        () => "none",
        (error) => error,
      ),
    )
      .replace(/^Error: /, "")
      .slice(0, 3);

  test("goes on at the frame after the last that its client has; the handler never knew", async () => {
    const one = await room();
    const first = await open(one.url, many(), resume);
    expect(first.response.headers.get("x-aduib-resume")).toBe("30");
    await first.has(5);
    first.leave();
    await until("the way back to be open", () => first.ended);
    const had = first.sequences.at(-1) ?? 0;
    const second = await goOn(one, first.id, had);
    expect(second.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(second.id).toBe(first.id);
    await second.over();
    const all = [...first.sequences, ...second.sequences];
    expect(all).toEqual(Array.from({ length: 41 }, (_, at) => at + 1));
    expect([...first.items, ...second.items]).toEqual(Array.from({ length: 40 }, (_, index) => ({ index })));
    expect(second.frames.map(({ id }) => id)).toEqual(second.sequences.map(String));
    expect(second.last.payload.control).toEqual({ final: true, total_count: 40 });
    expect(one.heard.filter((line) => line.startsWith("cancelled"))).toEqual([]);
    // The end may have got lost as well.
    const third = await goOn(one, first.id, 40);
    await third.over();
    expect(third.types).toEqual(["end"]);
    const fourth = await goOn(one, first.id, 41);
    await fourth.over();
    expect(fourth.text).toBe("");
  });

  test("ends while its client is away, and is told whole", async () => {
    const one = await room();
    const first = await open(one.url, stream("Count", { n: 5, delay_ms: 10 }), resume);
    await first.has(1);
    first.leave();
    await until("its end", () => one.streams.list.size === 0);
    const second = await goOn(one, first.id, 0);
    await second.over();
    expect([second.items.length, second.types.at(-1)]).toEqual([5, "end"]);
  });

  test("has one reader: the older is closed when another comes", async () => {
    const one = await room();
    const first = await open(one.url, many(), resume);
    await first.has(3);
    const second = await goOn(one, first.id, 1);
    await first.over();
    expect([first.ended, first.types.includes("end")]).toEqual(["whole", false]);
    await second.over();
    expect(second.sequences).toEqual(Array.from({ length: 40 }, (_, at) => at + 2));
  });

  test("is its owner's alone, and refuses what it cannot go on with", async () => {
    const one = await room({ document: { stream: { resume_frames: 3 } } });
    const first = await open(one.url, many(), resume);
    await first.has(10);
    expect(await refusal(goOn(one, first.id, 9, { "x-tenant-id": "other" }))).toBe("404");
    expect(await refusal(goOn(one, crypto.randomUUID(), 0))).toBe("404");
    expect(await refusal(goOn(one, first.id, 1))).toBe("410");
    expect(await refusal(goOn(one, first.id, 4_000))).toBe("400");
    expect(
      await refusal(open(one.url, undefined, { "x-aduib-stream-id": first.id, "last-event-id": "x" })),
    ).toBe("400");
    expect(await refusal(open(one.url, many(), { "x-aduib-stream-id": first.id }))).toBe("400");
    const other = await open(one.url, many());
    expect(await refusal(goOn(one, other.id, 0))).toBe("404");
    // Nothing of that disturbed it.
    await first.over();
    expect(first.sequences).toEqual(Array.from({ length: 41 }, (_, at) => at + 1));
  });

  test("is not worked for when enough waits, and cancelled when its client stays away", async () => {
    let given = 0;
    let aborts = 0;
    const one = await room({
      document: { stream: { resume_frames: 10 } },
      methods: [
        {
          service: "FastService",
          handler: "Run",
          source: "builtin",
          streamingOutput: true,
          run: async function* (_data, { signal }) {
            signal.addEventListener("abort", () => aborts++);
            for (;;) {
              await Bun.sleep(1);
              yield given++;
            }
          },
        },
      ],
    });
    const first = await open(
      one.url,
      { id: "1", method: "rpc.v2/FastService/Run" },
      { "x-aduib-resume": "1" },
    );
    await first.has(1);
    first.leave();
    await until("the handler to stand still", async () => {
      const before = given;
      await Bun.sleep(100);
      return before === given;
    });
    expect([aborts, one.streams.list.size]).toEqual([0, 1]);
    await until("the handler to hear", () => aborts === 1, 10_000);
    expect([one.streams.list.size, one.streams.resumable, one.limits.queues.held()]).toEqual([0, 0, 0]);
    expect(one.heard).toContain("cancelled stream by disconnect");
    expect(await refusal(goOn(one, first.id, 0))).toBe("404");
  });

  test("can be cancelled while its client is away", async () => {
    const one = await room();
    const first = await open(one.url, many(), resume);
    await first.has(2);
    first.leave();
    await until("it to be gone", () => first.ended);
    const cancel = {
      stream_id: first.id,
      message: { type: "cancel", payload: { control: { reason: "r" } } },
    };
    expect(await (await one.control(cancel)).json()).toMatchObject({ result: { accepted: true } });
    const second = await goOn(one, first.id, first.sequences.at(-1) ?? 0);
    await second.over();
    expect(second.types.slice(-2)).toEqual(["cancel", "end"]);
  });

  test("goes in the other shape too", async () => {
    const one = await room();
    const shaped = { ...resume, "x-aduib-stream-shape": "response" };
    const words = { words: Array.from({ length: 20 }, (_, at) => `word${at}`) };
    const first = await open(one.url, stream("Tokens", words), shaped);
    await first.over();
    const second = await goOn(one, first.id, Number(first.frames[9]?.id));
    await second.over();
    expect(second.frames.map(({ data }) => data.result.text)).toEqual(words.words.slice(10));
  });
});

describe("in a cluster", () => {
  const SLOW = stream("Count", { n: 1_000, delay_ms: 20 });
  async function two(): Promise<[RpcRoom, RpcRoom]> {
    const exchange = new MemoryExchange();
    const log = createLog("silent");
    return [await room({ bus: exchange.join(log) }), await room({ bus: exchange.join(log) })];
  }

  test("a stream is cancelled and acknowledged through any node", async () => {
    const [a, b] = await two();
    const client = await open(a.url, SLOW);
    await client.has(3);
    const ack = { type: "ack", payload: { control: { ack_sequence: 2 } } };
    const acked = await b.control({ stream_id: client.id, message: ack });
    expect([acked.status, await acked.json()]).toMatchObject([
      200,
      { id: "", status: "success", result: { stream_id: client.id, state: "unknown", accepted: true } },
    ]);
    const [live] = [...a.streams.list];
    await until("the acknowledgement", () => live?.window.acked === 2);
    const message = { type: "cancel", payload: { control: { reason: "elsewhere" } } };
    expect((await b.control({ stream_id: client.id, message })).status).toBe(200);
    await client.over();
    expect(client.frames.at(-2)?.data.payload.control).toEqual({ reason: "elsewhere" });
  });

  test("the node that has it looks whose it is, and what is no stream goes nowhere", async () => {
    const [a, b] = await two();
    const client = await open(a.url, SLOW);
    await client.has(1);
    const cancel = { message: { type: "cancel" } };
    expect((await b.control({ stream_id: client.id, ...cancel }, { "x-tenant-id": "other" })).status).toBe(
      200,
    );
    expect((await b.control({ stream_id: "no stream", ...cancel })).status).toBe(404);
    expect((await b.control({ id: "request-1", ...cancel })).status).toBe(404);
    const tooFar = { type: "ack", payload: { control: { ack_sequence: 99_999 } } };
    await b.control({ stream_id: client.id, message: tooFar });
    await client.has(client.frames.length + 5);
    expect([client.ended, [...a.streams.list][0]?.window.acked]).toEqual([undefined, 0]);
  });

  test("other nodes that cannot be asked are said to be away", async () => {
    const exchange = new MemoryExchange();
    const bus = exchange.join(createLog("silent"));
    const one = await room({ bus });
    await bus.close();
    const answer = await one.control({ stream_id: crypto.randomUUID(), message: { type: "cancel" } });
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: { code: 5002 } }]);
  });
});
