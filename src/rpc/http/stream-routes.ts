// Streams over HTTP (contract 1, 7): calls whose answer is server-sent events, the requests about a stream that is open, and the two kinds of
// call that this transport cannot carry. A refusal before a stream is an answer like every other, never an event.
import { Hono, type MiddlewareHandler } from "hono";
import type { BodyEnv } from "../../http/body-budget.ts";
import { isLarge } from "../../http/request-body.ts";
import { PLAIN } from "../formats/negotiation.ts";
import { isAdmitted, isLetIn, type Pipeline } from "../pipeline/pipeline.ts";
import { messageWriter, responseWriter, streamShape } from "../streams/frame-writer.ts";
import type { Streams } from "../streams/streams.ts";
import { isSafeInteger } from "../wire/problems.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { readControl, resumeRequest } from "../wire/stream-control.ts";
import { answer, bodyError, type Exchange, type ExchangeParts, receive } from "./exchange.ts";

export interface StreamRoutesParts {
  readonly pipeline: Pipeline;
  readonly streams: Streams;
  readonly budget: MiddlewareHandler<BodyEnv>;
  readonly exchange: ExchangeParts;
}

const STREAM = ["/v2/rpc/stream", "/v2/AduibRpcService/CallServerStream"];
const NOT_HERE = ["/v2/AduibRpcService/CallClientStream", "/v2/AduibRpcService/CallBidirectional"];
/** A client may stay away. */
const MAX_RESUME_S = 300;

export function streamRoutes({ pipeline, streams, budget, exchange }: StreamRoutesParts) {
  const { formats } = exchange;
  const app = new Hono<BodyEnv>();

  app.on("POST", STREAM, budget, async (c) => {
    const request = c.req.raw;
    const streamId = request.headers.get("x-aduib-stream-id");
    if (streamId !== null) return resumed(request, c.env, c.var.body, streamId);
    const { incoming, form } = await receive(request, c.env, c.var.body, "stream", exchange);
    const wish = wishes(request.headers, incoming.message, incoming.config.stream.shape.rest);
    const admitted = await pipeline.stream({ ...incoming, refused: incoming.refused ?? wish.refused });
    if (!isAdmitted(admitted)) return answer(admitted, form, formats, incoming.config);
    const writer =
      wish.shape === "message" ? messageWriter : responseWriter(admitted.call, pipeline.parts.server);
    const opened = streams.open(admitted, {
      request,
      facts: c.env,
      writer,
      resumeSeconds: wish.resumeSeconds,
    });
    return opened instanceof Response ? opened : answer(opened, form, formats, incoming.config);
  });

  app.post("/v2/rpc/stream/control", budget, async (c) => {
    const { incoming, form } = await receive(c.req.raw, c.env, c.var.body, "unary", exchange);
    const { config } = incoming;
    const asked = readControl(incoming.message);
    const call = await pipeline.letIn(incoming, asked);
    if (!isLetIn(call)) return answer(call, form, formats, config);
    try {
      // What was let in was read.
      const result = await streams.control(asked.control as NonNullable<typeof asked.control>, call);
      return answer(pipeline.finish(call, { status: "success", result }), form, formats, config);
    } catch (error) {
      return answer(pipeline.fail(call, error), form, formats, config);
    }
  });

  app.on("POST", NOT_HERE, budget, async (c) => {
    const { incoming, form } = await receive(c.req.raw, c.env, c.var.body, "unary", exchange);
    const refused = new RpcError(5001, {
      message: "HTTP carries no stream of requests; gRPC does",
    });
    return answer(await pipeline.unary({ ...incoming, refused }), form, formats, incoming.config);
  });

  async function resumed(
    request: Request,
    facts: BodyEnv["Bindings"],
    body: BodyEnv["Variables"]["body"],
    streamId: string,
  ): Promise<Response> {
    const { incoming, after } = await resumption(request, facts, body, exchange);
    const { config } = incoming;
    const call = await pipeline.letIn(incoming, resumeRequest());
    if (!isLetIn(call)) return answer(call, PLAIN, formats, config);
    try {
      const opened = streams.resume(streamId, after, call, { request, facts });
      pipeline.ended(call, { status: "success", result: null });
      return opened;
    } catch (error) {
      return answer(pipeline.fail(call, error), PLAIN, formats, config);
    }
  }
  return app;
}

interface Wishes {
  readonly shape: "message" | "response";
  readonly resumeSeconds: number | undefined;
  readonly refused: unknown;
}

/** What a stream's own headers say of it. */
function wishes(headers: Headers, message: unknown, standard: Wishes["shape"]): Wishes {
  try {
    return {
      shape: streamShape(headers.get("x-aduib-stream-shape"), message, standard),
      resumeSeconds: secondsOf(headers.get("x-aduib-resume")),
      refused: undefined,
    };
  } catch (refused) {
    return { shape: standard, resumeSeconds: undefined, refused };
  }
}

function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = numberOf(header);
  if (seconds !== undefined && seconds >= 1 && seconds <= MAX_RESUME_S) return seconds;
  throw rpcError(2003, "InvalidField", `must be 1 to ${MAX_RESUME_S} seconds`, {
    field: "header.x-aduib-resume",
  });
}

function numberOf(text: string): number | undefined {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : undefined;
  return isSafeInteger(number) ? number : undefined;
}

/** A request without a body: everything that it says is in its headers. Never rejects. */
async function resumption(
  request: Request,
  facts: BodyEnv["Bindings"],
  body: BodyEnv["Variables"]["body"],
  { config: current, peerOf }: ExchangeParts,
): Promise<{ readonly incoming: Exchange["incoming"]; readonly after: number }> {
  const startedAt = performance.now();
  const startedAtMs = Date.now();
  const config = current();
  const last = request.headers.get("last-event-id");
  const after = last === null || last === "" ? 0 : numberOf(last);
  let refused: unknown;
  try {
    const raw = await body.read();
    if (isLarge(raw) || raw.bytes.byteLength > 0)
      refused = rpcError(2000, "stream", "who goes on with a stream sends no body");
  } catch (error) {
    refused = bodyError(error, config);
  }
  if (after === undefined)
    refused ??= rpcError(2003, "InvalidField", "must be the number of a frame", {
      field: "header.last-event-id",
    });
  return {
    after: after ?? 0,
    incoming: {
      transport: "rest",
      kind: "stream",
      message: undefined,
      headers: request.headers,
      peer: peerOf(facts),
      config,
      startedAt,
      startedAtMs,
      requestBytes: 0,
      disconnected: request.signal,
      contentType: PLAIN.format,
      contentEncoding: undefined,
      refused,
    },
  };
}
