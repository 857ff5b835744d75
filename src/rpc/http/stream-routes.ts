// Streams over HTTP (contract 1, 7): calls whose answer is server-sent events, the requests about a stream that is open, and the two kinds of
// call that this transport cannot carry.
import { Hono } from "hono";
import type { BodyEnv } from "../../http/body-budget.ts";
import { isLarge, type RequestBody } from "../../http/request-body.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import { answerForm, PLAIN } from "../formats/negotiation.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import { isLetIn } from "../pipeline/pipeline.ts";
import { messageWriter, responseWriter } from "../streams/frame-writer.ts";
import { RpcError, rpcError } from "../wire/rpc-error.ts";
import { readControl, resumeRequest } from "../wire/stream-control.ts";
import {
  answer,
  bodyError,
  decodeBody,
  type ExchangeParts,
  incomingOf,
  nothingReceived,
  receive,
} from "./exchange.ts";
import { numberOf, type StreamParts, streamAnswer } from "./stream-answer.ts";

export type StreamRoutesParts = ExchangeParts & StreamParts;

const STREAM = ["/v2/rpc/stream", "/v2/AduibRpcService/CallServerStream"];
const CONTROL = "/v2/rpc/stream/control";
const NOT_HERE = ["/v2/AduibRpcService/CallClientStream", "/v2/AduibRpcService/CallBidirectional"];
export const STREAM_PATHS: readonly string[] = [...STREAM, CONTROL, ...NOT_HERE];

/** Bodies come within a budget that whoever mounts them sets. */
export function streamRoutes(parts: StreamRoutesParts) {
  const { pipeline, streams } = parts;
  const app = new Hono<BodyEnv>();

  app.on("POST", STREAM, async (c) => {
    const request = c.req.raw;
    const facts = c.env;
    const streamId = request.headers.get("x-aduib-stream-id");
    if (streamId !== null) return resumed(request, facts, c.var.body, streamId);
    const { incoming, form } = await receive(request, facts, c.var.body, "stream", parts);
    const answered = await streamAnswer(
      {
        request,
        facts,
        incoming,
        writer: (shape, call) =>
          shape === "message" ? messageWriter : responseWriter(call, pipeline.parts.server),
      },
      parts,
    );
    return answered instanceof Response ? answered : answer(answered, form, parts);
  });

  app.post(CONTROL, async (c) => {
    const request = c.req.raw;
    const received = await decodeBody(request, c.env, c.var.body, parts);
    const { message, read, config } = received;
    // Of its metadata only who asks is read, so nothing else of it is a wish or can be wrong.
    const form = answerForm(undefined, request.headers, read, config);
    const incoming = incomingOf(request, c.env, { ...received, read: undefined }, form, {}, parts);
    const asked = readControl(message);
    const { control } = asked;
    const call = await pipeline.letIn(incoming, asked, control && streams.methodOf(control.streamId));
    if (!isLetIn(call)) return answer(call, form, parts);
    try {
      // What was let in was read.
      const result = await streams.control(control as NonNullable<typeof control>, call);
      return answer(pipeline.finish(call, { status: "success", result }), form, parts);
    } catch (error) {
      return answer(pipeline.fail(call, error), form, parts);
    }
  });

  app.on("POST", NOT_HERE, async (c) => {
    const { incoming, form } = await receive(c.req.raw, c.env, c.var.body, "unary", parts);
    const refused = new RpcError(5001, { message: "HTTP carries no stream of requests; gRPC does" });
    return answer(await pipeline.unary({ ...incoming, refused }), form, parts);
  });

  async function resumed(
    request: Request,
    facts: RequestFacts,
    body: RequestBody,
    streamId: string,
  ): Promise<Response> {
    const { incoming, after } = await resumption(request, facts, body, parts);
    const call = await pipeline.letIn(incoming, resumeRequest(), streams.methodOf(streamId));
    if (!isLetIn(call)) return answer(call, PLAIN, parts);
    try {
      const opened = streams.resume(streamId, after, call, { request, facts });
      pipeline.ended(call, { status: "success", result: null });
      return opened;
    } catch (error) {
      return answer(pipeline.fail(call, error), PLAIN, parts);
    }
  }
  return app;
}

/** A request without a body: everything that it says is in its headers. Never rejects. */
async function resumption(
  request: Request,
  facts: RequestFacts,
  body: RequestBody,
  parts: ExchangeParts,
): Promise<{ readonly incoming: Incoming; readonly after: number }> {
  const received = nothingReceived(parts.config());
  const last = request.headers.get("last-event-id");
  const after = last === null || last === "" ? 0 : numberOf(last);
  let refused: unknown;
  try {
    const raw = await body.read();
    if (isLarge(raw) || raw.bytes.byteLength > 0)
      refused = rpcError(2000, "stream", "who goes on with a stream sends no body");
  } catch (error) {
    refused = bodyError(error, received.config);
  }
  if (after === undefined)
    refused ??= rpcError(2003, "InvalidField", "must be the number of a frame", {
      field: "header.last-event-id",
    });
  return {
    after: after ?? 0,
    incoming: incomingOf(request, facts, { ...received, refused }, PLAIN, { kind: "stream" }, parts),
  };
}
