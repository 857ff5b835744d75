import { describe, expect, test } from "bun:test";
import { Problems } from "./problems.ts";
import {
  baggageHeader,
  newSpanId,
  newTraceId,
  traceContext,
  traceParent,
  traceParentHeader,
} from "./trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

describe("the envelope's trace", () => {
  test("is read, upper case lowered, sampled unless it says otherwise", () => {
    const problems = new Problems();
    expect(traceContext(problems, { trace_id: TRACE.toUpperCase(), span_id: SPAN.toUpperCase() })).toEqual({
      trace_id: TRACE,
      span_id: SPAN,
      sampled: true,
    });
    expect(problems.error()).toBeUndefined();
  });

  test.each([
    [{ trace_id: TRACE.slice(1), span_id: SPAN }, "trace_context.trace_id"],
    [{ trace_id: "0".repeat(32), span_id: SPAN }, "trace_context.trace_id"],
    [{ trace_id: 1, span_id: SPAN }, "trace_context.trace_id"],
    [{ trace_id: TRACE, span_id: "g".repeat(16) }, "trace_context.span_id"],
    [{ trace_id: TRACE, span_id: "0".repeat(16) }, "trace_context.span_id"],
    [{ trace_id: TRACE }, "trace_context.span_id"],
    [{ trace_id: TRACE, span_id: SPAN, parent_span_id: "x" }, "trace_context.parent_span_id"],
    [{ trace_id: TRACE, span_id: SPAN, sampled: "yes" }, "trace_context.sampled"],
    [{ trace_id: TRACE, span_id: SPAN, baggage: { a: 1 } }, "trace_context.baggage.a"],
  ])("%j is refused at %s", (from, field) => {
    const problems = new Problems();
    traceContext(problems, from);
    expect(problems.error()).toMatchObject({ code: 1002, details: [{ field }] });
  });
});

describe("the header's trace", () => {
  test("is read and written as W3C says", () => {
    expect(traceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
    expect(traceParent(`00-${TRACE}-${SPAN}-02`)?.sampled).toBe(false);
    expect(traceParent(`cc-${TRACE}-${SPAN}-03-what-the-future-is`)?.sampled).toBe(true);
    expect(traceParentHeader({ traceId: TRACE, spanId: SPAN, sampled: false })).toBe(
      `00-${TRACE}-${SPAN}-00`,
    );
  });

  test.each([
    null,
    "",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `cc-${TRACE}-${SPAN}-01x`,
  ])("%j is ignored", (header) => {
    expect(traceParent(header)).toBeUndefined();
  });

  test("baggage loses what cannot be read, and never reaches a prototype", () => {
    const found = baggageHeader("a=1, b = two%20words ;prop=x, =no, nothing, c=%zz, __proto__=x");
    expect(found).toEqual(
      Object.defineProperty({ a: "1", b: "two words" }, "__proto__", { value: "x", enumerable: true }),
    );
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype);
    expect(baggageHeader("")).toBeUndefined();
    const many = Array.from({ length: 100 }, (_, index) => `k${index}=v`).join(",");
    expect(Object.keys(baggageHeader(many) ?? {})).toHaveLength(64);
  });
});

test("ids are new each time", () => {
  const traces = new Set(Array.from({ length: 5_000 }, newTraceId));
  const spans = new Set(Array.from({ length: 5_000 }, newSpanId));
  expect([traces.size, spans.size]).toEqual([5_000, 5_000]);
  for (const id of [...traces].slice(0, 10)) expect(id).toMatch(/^[0-9a-f]{32}$/);
  for (const id of [...spans].slice(0, 10)) expect(id).toMatch(/^[0-9a-f]{16}$/);
});
