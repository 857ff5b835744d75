// The two Avro schemas of contract 20. The order of the fields is the wire's.

type Schema = string | readonly Schema[] | { readonly [key: string]: unknown };

const optional = (type: Schema) => ["null", type];
const listOf = (items: Schema) => ({ type: "array", items });
const mapOf = (values: Schema) => ({ type: "map", values });
const must = (name: string, type: Schema) => ({ name, type });
const may = (name: string, type: Schema) => ({ name, type: optional(type), default: null });
const usually = (name: string, type: Schema, standard: unknown) => ({ name, type, default: standard });
const record = (name: string, ...fields: readonly object[]) => ({
  type: "record",
  name,
  namespace: "aduib.rpc.v2",
  fields,
});

const traceContext = record(
  "TraceContext",
  must("trace_id", "string"),
  must("span_id", "string"),
  may("parent_span_id", "string"),
  usually("sampled", "boolean", true),
  may("baggage", mapOf("string")),
);

export const requestSchema = record(
  "Request",
  usually("aduib_rpc", "string", "2.0"),
  must("id", "string"),
  must("method", "string"),
  may("name", "string"),
  may("data", "string"),
  may("supported_versions", listOf("string")),
  may("trace_context", traceContext),
  may(
    "metadata",
    record(
      "RequestMetadata",
      must("timestamp_ms", "long"),
      may("client_id", "string"),
      may("client_version", "string"),
      may(
        "auth",
        record(
          "AuthContext",
          must("scheme", "string"),
          may("credentials", "string"),
          may("principal", "string"),
          may("principal_type", "string"),
          may("roles", listOf("string")),
        ),
      ),
      may("tenant_id", "string"),
      may("content_type", "string"),
      may("accept", listOf("string")),
      may("compression", "string"),
      may("headers", mapOf("string")),
    ),
  ),
  may(
    "qos",
    record(
      "QosConfig",
      usually("priority", "int", 1),
      may("timeout_ms", "long"),
      may(
        "retry",
        record(
          "RetryConfig",
          usually("max_attempts", "int", 3),
          usually("initial_delay_ms", "long", 100),
          usually("max_delay_ms", "long", 10_000),
          usually("backoff_multiplier", "double", 2),
          may("retryable_codes", listOf("int")),
        ),
      ),
      may("idempotency_key", "string"),
    ),
  ),
);

export const responseSchema = record(
  "Response",
  usually("aduib_rpc", "string", "2.0"),
  must("id", "string"),
  must("status", "string"),
  may("result", "string"),
  may(
    "error",
    record(
      "RpcError",
      must("code", "int"),
      must("name", "string"),
      must("message", "string"),
      may(
        "details",
        listOf(
          record(
            "ErrorDetail",
            must("type", "string"),
            may("field", "string"),
            must("reason", "string"),
            may("metadata", "string"),
          ),
        ),
      ),
      may(
        "debug",
        record(
          "DebugInfo",
          may("stack_trace", "string"),
          may("internal_message", "string"),
          must("timestamp_ms", "long"),
        ),
      ),
    ),
  ),
  may("negotiated_version", "string"),
  may("trace_context", traceContext),
  may(
    "metadata",
    record(
      "ResponseMetadata",
      must("timestamp_ms", "long"),
      must("duration_ms", "long"),
      may("server_id", "string"),
      may("server_version", "string"),
      may(
        "pagination",
        record(
          "Pagination",
          must("total", "long"),
          must("page", "int"),
          must("page_size", "int"),
          must("has_next", "boolean"),
          may("cursor", "string"),
        ),
      ),
      may(
        "rate_limit",
        record("RateLimitInfo", must("limit", "int"), must("remaining", "int"), must("reset_at_ms", "long")),
      ),
      may("headers", mapOf("string")),
    ),
  ),
);

/** Contract 20: CRC-64-AVRO of the canonical forms; a test computes them anew. */
export const REQUEST_FINGERPRINT = "bcac472fd0b35821";
export const RESPONSE_FINGERPRINT = "1328bf3441fe7598";
