// The trace of a call: whose it is, and what comes back of it (contract 8; V14, V15). What leaves for logs, audit and a collector is in
// rpc-observability.test.ts.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Served, served, stopServers } from "./support/rpc-server.ts";

setDefaultTimeout(30_000);
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const header = { traceparent: `00-${TRACE}-${SPAN}-01` };
const own = { trace_id: "1".repeat(32), span_id: "2".repeat(16) };
let one: Served;
beforeAll(async () => {
  one = await served();
});
afterAll(stopServers);

test("a header's trace goes on, under a span of the server (V14)", async () => {
  const { body, headers } = await one.call("EchoService/Echo", null, {}, header);
  expect(body.trace_context).toEqual({
    trace_id: TRACE,
    span_id: expect.stringMatching(/^[0-9a-f]{16}$/),
    parent_span_id: SPAN,
    sampled: true,
  });
  expect(body.trace_context.span_id).not.toBe(SPAN);
  expect(headers.get("traceparent")).toBe(`00-${TRACE}-${body.trace_context.span_id}-01`);
});

test("the envelope's comes before a header of another one; of the same one the header is the nearer hop (V15)", async () => {
  const other = await one.call("EchoService/Echo", null, { trace_context: own }, header);
  expect(other.body.trace_context).toMatchObject({ trace_id: own.trace_id, parent_span_id: own.span_id });
  const same = await one.call(
    "EchoService/Echo",
    null,
    { trace_context: { ...own, trace_id: TRACE } },
    header,
  );
  expect(same.body.trace_context).toMatchObject({ trace_id: TRACE, parent_span_id: SPAN });
});

test("one that is none in the envelope is refused by its field, one in a header is left alone (V15)", async () => {
  const short = { ...own, trace_id: "1".repeat(31) };
  expect(await one.call("EchoService/Echo", null, { trace_context: short })).toMatchObject({
    status: 400,
    body: { error: { code: 1002, details: [{ field: "trace_context.trace_id" }] } },
  });
  const { status, body } = await one.call("EchoService/Echo", null, {}, { traceparent: "ff-no" });
  expect(status).toBe(200);
  expect(body.trace_context).not.toHaveProperty("parent_span_id");
});

test("a refused call has its trace too", async () => {
  const { body } = await one.call("NopeService/Run", null, {}, header);
  expect(body).toMatchObject({
    error: { code: 4002 },
    trace_context: { trace_id: TRACE, parent_span_id: SPAN },
  });
});
