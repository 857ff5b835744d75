// What frames look like on the wire, in both shapes, and who chooses the shape.
import { describe, expect, test } from "bun:test";
import { DEFAULT_DOCUMENT } from "../document/document.ts";
import { Call } from "../pipeline/call.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import type { RpcError } from "../wire/rpc-error.ts";
import type { StreamMessage } from "../wire/stream-message.ts";
import { messageWriter, responseWriter, streamShape } from "./frame-writer.ts";

const call = () => {
  const incoming: Partial<Incoming> = {
    config: DEFAULT_DOCUMENT,
    startedAt: performance.now(),
    contentType: "application/msgpack",
    contentEncoding: "gzip",
  };
  const one = new Call(incoming as Incoming);
  one.id = "id";
  return one;
};
const server = { id: "s", version: "1" };
const frame = (one: object) => ({ sequence: 3, timestamp_ms: 1, ...one }) as StreamMessage;
const FRAMES = {
  data: frame({ type: "data", payload: { data: "line\nline\r\n\u2028" } }),
  partial: frame({ type: "partial", payload: { data: 1 } }),
  heartbeat: frame({ type: "heartbeat", payload: { control: { ping_id: "hb-2" } } }),
  error: frame({ type: "error", payload: { error: { code: 5000, name: "INTERNAL_ERROR", message: "m" } } }),
  cancel: frame({ type: "cancel", payload: { control: { reason: "r" } } }),
  end: frame({ type: "end", payload: { control: { final: true, total_count: 1 } } }),
};

describe("the shape message", () => {
  test("is one line of data, whatever an item holds", () => {
    for (const [type, one] of Object.entries(FRAMES)) {
      const text = messageWriter.text(one) ?? "";
      const [id, data, ...rest] = text.split("\n");
      expect([id, rest]).toEqual(["id: 3", ["", ""]]);
      expect(text).not.toContain("\r");
      expect(JSON.parse(data?.slice("data: ".length) ?? "")).toEqual(JSON.parse(JSON.stringify(one)));
      expect(data).toContain(`"type":"${type}"`);
    }
  });

  test("begins as its first frame begins", () => {
    expect(messageWriter.text(FRAMES.data)?.startsWith(messageWriter.head(3))).toBe(true);
  });
});

describe("the shape response", () => {
  const parsed = (text: string | undefined) => JSON.parse(text?.split("\ndata: ")[1] ?? "null");

  test("has items and one failure; nothing else but signs of life", () => {
    const writer = responseWriter(call(), server);
    expect(parsed(writer.text(FRAMES.data))).toMatchObject({
      id: "id",
      status: "success",
      result: "line\nline\r\n\u2028",
    });
    const failed = parsed(writer.text(FRAMES.error));
    expect(failed).toMatchObject({ id: "id", status: "error", error: { code: 5000 } });
    expect("result" in failed).toBe(false);
    expect(writer.text(FRAMES.heartbeat)).toBe(": hb-2\n\n");
    for (const type of ["partial", "cancel", "end"] as const)
      expect(writer.text(FRAMES[type])).toBeUndefined();
  });

  test("is JSON, whatever form a refusal would have had", () => {
    const { metadata } = parsed(responseWriter(call(), server).text(FRAMES.data));
    expect(metadata.headers).toEqual({ "content-type": "application/json" });
  });

  test("of a bare endpoint is the item itself, and a failure a Response all the same", () => {
    const writer = responseWriter(call(), server, true);
    expect(writer.text(frame({ type: "data", payload: { data: { event: "started" } } }))).toBe(
      'id: 3\ndata: {"event":"started"}\n\n',
    );
    expect(parsed(writer.text(FRAMES.error))).toMatchObject({ status: "error" });
  });
});

test("the header's shape comes before the envelope's, that before the document's", () => {
  const inside = (value: unknown) => ({ metadata: { headers: { "X-ADUIB-Stream-Shape": value } } });
  expect(streamShape("message", inside("response"), "response")).toBe("message");
  expect(streamShape(null, inside("response"), "message")).toBe("response");
  for (const message of [
    undefined,
    null,
    [],
    {},
    { metadata: [] },
    { metadata: { headers: null } },
    inside(null),
  ])
    expect(streamShape(null, message, "response")).toBe("response");
  for (const wrong of ["", "Message", 5, {}]) {
    let refused: RpcError | undefined;
    try {
      streamShape(typeof wrong === "string" ? wrong : null, inside(wrong), "message");
    } catch (error) {
      refused = error as RpcError;
    }
    expect(refused?.code).toBe(2003);
  }
});
