// The trace of a call on calls that its handler makes (contract 8): the callee's parent is a span of the client, between the two servers'.
import { newSpanId, traceParentHeader } from "../wire/trace-context.ts";
import type { CallTrace } from "./call.ts";

/** RFC 9110: what a baggage key may consist of. Others cannot be carried in a header. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Of all members together (W3C baggage, 3.3.2). */
const MAX_BAGGAGE = 8_192;

/** With a span of its own for each call. */
export function carryTrace(headers: Headers, { traceId, sampled, state, baggage }: CallTrace): void {
  headers.set("traceparent", traceParentHeader({ traceId, spanId: newSpanId(), sampled }));
  if (state !== undefined) headers.set("tracestate", state);
  let members = "";
  for (const [key, value] of Object.entries(baggage)) {
    if (!TOKEN.test(key)) continue;
    const member = `${members === "" ? "" : ","}${key}=${encoded(value)}`;
    if (members.length + member.length <= MAX_BAGGAGE) members += member;
  }
  if (members !== "") headers.set("baggage", members);
}

/** Half a character cannot be encoded. */
const encoded = (value: string): string => encodeURIComponent(value.toWellFormed());
