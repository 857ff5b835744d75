// Stage 7: the trace that this call belongs to, and the server's own span in it (contract 8). Never refuses: a refused call has a trace too.
import {
  baggageHeader,
  newSpanId,
  newTraceId,
  type TraceContext,
  type TraceParent,
  traceParent,
} from "../wire/trace-context.ts";
import type { Call, CallTrace } from "./call.ts";

const NO_BAGGAGE: Readonly<Record<string, string>> = {};

/** `envelope`: what could be read of it, also of a message that is refused. */
export function adoptTrace(call: Call, envelope: TraceContext | undefined): void {
  const { headers } = call.incoming;
  const header = traceParent(headers.get("traceparent"));
  const baggage = baggageHeader(headers.get("baggage"));
  const state = headers.get("tracestate") ?? undefined;
  call.trace = {
    ...origin(call, envelope, header),
    spanId: newSpanId(),
    state,
    baggage: baggage === undefined ? (envelope?.baggage ?? NO_BAGGAGE) : { ...baggage, ...envelope?.baggage },
  };
}

function origin(
  { config }: Call,
  envelope: TraceContext | undefined,
  header: TraceParent | undefined,
): Pick<CallTrace, "traceId" | "parentSpanId" | "sampled" | "link"> {
  if (envelope !== undefined) {
    const { trace_id: traceId, span_id, sampled } = envelope;
    // The header's span is the nearest hop of the same trace; of another trace it is only a link.
    const isSame = header?.traceId === traceId;
    return {
      traceId,
      parentSpanId: isSame ? header.spanId : span_id,
      sampled,
      link: header === undefined || isSame ? undefined : { traceId: header.traceId, spanId: header.spanId },
    };
  }
  if (header !== undefined)
    return { traceId: header.traceId, parentSpanId: header.spanId, sampled: header.sampled, link: undefined };
  const ratio = config.tracing.sample_ratio ?? config.observability.sample_ratio;
  const sampled = ratio >= 1 || Math.random() < ratio;
  return { traceId: newTraceId(), parentSpanId: undefined, sampled, link: undefined };
}
