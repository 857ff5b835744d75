// Trace context of a request, in the envelope and in W3C headers (contract 8): read strictly in the envelope, leniently in headers.
import { randomBytes } from "node:crypto";
import { type Fields, type MapBound, type Problems, textMap } from "./problems.ts";

export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly trace_id: string;
  /** 16 of them. */
  readonly span_id: string;
  readonly parent_span_id?: string;
  readonly sampled: boolean;
  readonly baggage?: Readonly<Record<string, string>>;
}

export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** As metadata.headers (contract 3.6). */
const BAGGAGE_BOUND: MapBound = { entries: 64, key: 128, value: 4_096 };

const TRACE_ID = /^[0-9a-f]{32}$/i;
const SPAN_ID = /^[0-9a-f]{16}$/i;
const NOTHING = /^0+$/;

const isTraceId = (value: unknown): value is string =>
  typeof value === "string" && TRACE_ID.test(value) && !NOTHING.test(value);
const isSpanId = (value: unknown): value is string =>
  typeof value === "string" && SPAN_ID.test(value) && !NOTHING.test(value);

export function traceContext(problems: Problems, from: Fields): TraceContext | undefined {
  const { trace_id, span_id, parent_span_id, sampled } = from;
  if (!isTraceId(trace_id))
    return problems.shape("trace_context.trace_id", "must be 32 hex digits, not all zero");
  if (!isSpanId(span_id))
    return problems.shape("trace_context.span_id", "must be 16 hex digits, not all zero");
  const parent = parent_span_id ?? undefined;
  if (parent !== undefined && !isSpanId(parent))
    return problems.shape("trace_context.parent_span_id", "must be 16 hex digits, not all zero");
  const decision = sampled ?? true;
  if (typeof decision !== "boolean") return problems.shape("trace_context.sampled", "must be true or false");
  const baggage = textMap(problems, from, "baggage", "trace_context.baggage", BAGGAGE_BOUND);
  return {
    trace_id: trace_id.toLowerCase(),
    span_id: span_id.toLowerCase(),
    ...(parent !== undefined && { parent_span_id: parent.toLowerCase() }),
    sampled: decision,
    ...(baggage !== undefined && { baggage }),
  };
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for one that is malformed, which W3C says to ignore. */
export function traceParent(header: string | null | undefined): TraceParent | undefined {
  if (header === null || header === undefined) return undefined;
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(header.trim()) ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined)
    return undefined;
  if (version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (NOTHING.test(traceId) || NOTHING.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const traceParentHeader = ({ traceId, spanId, sampled }: TraceParent): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;

/** Members of a W3C baggage header, without their properties; what cannot be read is left out. */
export function baggageHeader(
  header: string | null | undefined,
): Readonly<Record<string, string>> | undefined {
  if (header === null || header === undefined || header === "") return undefined;
  const found: Record<string, string> = {};
  let entries = 0;
  for (const member of header.split(",")) {
    const pair = member.split(";", 1)[0] ?? "";
    const at = pair.indexOf("=");
    if (at <= 0 || entries >= BAGGAGE_BOUND.entries) continue;
    const key = pair.slice(0, at).trim();
    const value = decoded(pair.slice(at + 1).trim());
    if (key === "" || value === undefined) continue;
    if (key.length > BAGGAGE_BOUND.key || value.length > BAGGAGE_BOUND.value) continue;
    Object.defineProperty(found, key, { value, enumerable: true, configurable: true, writable: true });
    entries++;
  }
  return entries === 0 ? undefined : found;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

// Ids are cut from one larger draw: a call to the system for each would cost more than the rest of a small request.
const POOL_BYTES = 4_096;
let pool = "";
let used = 0;

function hex(bytes: number): string {
  if (used + bytes * 2 > pool.length) {
    pool = randomBytes(POOL_BYTES).toString("hex");
    used = 0;
  }
  const id = pool.slice(used, used + bytes * 2);
  used += bytes * 2;
  return NOTHING.test(id) ? hex(bytes) : id;
}

export const newTraceId = (): string => hex(16);
export const newSpanId = (): string => hex(8);
