// A bare Hono route in a process of its own, to measure calls beside: it parses the same JSON and answers the same JSON, and does nothing
// else. No limits, no checks, no log, no figures. Its one argument is its port.
import { Hono } from "hono";
import type { ECHO } from "./bodies.ts";

const app = new Hono();
app.post("/aduib_rpc/v2/rpc", async (c) => {
  const { id, data, trace_context } = (await c.req.json()) as typeof ECHO;
  return c.json({
    aduib_rpc: "2.0",
    id,
    negotiated_version: "2.0",
    trace_context: { ...trace_context, parent_span_id: trace_context.span_id },
    status: "success",
    result: data,
    metadata: {
      timestamp_ms: Date.now(),
      duration_ms: 0,
      server_id: "bare",
      server_version: "0.1.0",
      headers: { "content-type": "application/json" },
    },
  });
});

Bun.serve({ hostname: "127.0.0.1", port: Number(process.argv[2]), fetch: app.fetch });
