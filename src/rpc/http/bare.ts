// Paths of the services that are called without an envelope (contract 1): the body is the message itself, and so is the answer. A body that
// is an envelope all the same is answered as one. Both are calls of the same methods, through the one pipeline.
import type { RequestBody } from "../../http/request-body.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import { answerForm, jsonForm } from "../formats/negotiation.ts";
import type { Incoming } from "../pipeline/incoming.ts";
import { type Finished, isAdmitted, type Pipeline } from "../pipeline/pipeline.ts";
import type { LiveStreams } from "../streams/live-streams.ts";
import { methodName } from "../wire/method-name.ts";
import { absent, type Fields, isFields } from "../wire/problems.ts";
import { type RpcError, rpcError } from "../wire/rpc-error.ts";
import {
  answer,
  bytesAnswer,
  callHeaders,
  decodeBody,
  type ExchangeParts,
  incomingOf,
  JSON_TYPE,
} from "./exchange.ts";
import { failureResponse, itemResponse, streamAnswer } from "./stream-answer.ts";
import { streamShape } from "./stream-shape.ts";

export interface BareParts extends ExchangeParts {
  readonly pipeline: Pipeline;
  readonly streams: LiveStreams;
}

/** Of the method `rpc.v2/<service>/<handler>` that the path names. */
export async function bareCall(
  request: Request,
  facts: RequestFacts,
  body: RequestBody,
  method: string,
  parts: BareParts,
): Promise<Response> {
  const { pipeline } = parts;
  const received = await decodeBody(request, body, parts, "json");
  const { message, config } = received;
  const isEnvelope = isFields(message) && Object.hasOwn(message, "aduib_rpc");
  const asked = isEnvelope ? named(message, method) : implied(message, method);
  const isStream = pipeline.parts.registry.streams(method);
  const form = isStream
    ? jsonForm(asked.message, request.headers, config)
    : onlyJson(answerForm(asked.message, request.headers, "application/json", config));
  const refused = received.refused ?? asked.refused;
  const kind = isStream ? "stream" : "unary";
  const incoming = incomingOf(
    request,
    facts,
    { ...received, message: asked.message, refused },
    form,
    { kind },
    parts,
  );
  const whole = (finished: Finished) =>
    isEnvelope ? answer(finished, form, parts.formats) : bare(finished, message, form, parts);
  return isStream
    ? streamed(incoming, isEnvelope, facts, parts, whole)
    : whole(await pipeline.unary(incoming));
}

type Form = ReturnType<typeof answerForm>;

function onlyJson(form: Form): Form {
  if (form.format === "application/json") return form;
  return {
    format: "application/json",
    compression: form.compression,
    refused: rpcError(1003, "NotAcceptable", "only JSON is served here", {
      metadata: { supported: ["application/json"] },
    }),
  };
}

interface Asked {
  readonly message: unknown;
  readonly refused?: RpcError;
}

/** The path says the method; an envelope may say it again, and nothing else. */
function named(envelope: Fields, method: string): Asked {
  const own = envelope.method;
  if (absent(own)) return { message: { ...envelope, method } };
  if (typeof own === "string" && methodName(own)?.full === method) return { message: envelope };
  return {
    message: envelope,
    refused: rpcError(1002, "InvalidMethod", "must be the method of the path", { field: "method" }),
  };
}

/** Its id is fresh: what a message calls `id` is its own business. */
const implied = (message: unknown, method: string): Asked => ({
  message: { aduib_rpc: "2.0", id: crypto.randomUUID(), method, data: message },
});

/** The result alone; an error in an envelope, with the message's own id where it has one. */
function bare(
  finished: Finished,
  message: unknown,
  form: Form,
  { formats }: Pick<BareParts, "formats">,
): Promise<Response> {
  const { call, response, http } = finished;
  const own = isFields(message) && typeof message.id === "string" ? message.id : "";
  const body = response.status === "error" ? { ...response, id: own } : response.result;
  return bytesAnswer(JSON.stringify(body), { ...callHeaders(call), "content-type": JSON_TYPE }, http, {
    form,
    formats,
    config: call.config,
    finished,
  });
}

async function streamed(
  incoming: Incoming,
  isEnvelope: boolean,
  facts: RequestFacts,
  { pipeline, streams }: BareParts,
  whole: (finished: Finished) => Promise<Response>,
): Promise<Response> {
  const { shape, refused } = streamShape(incoming);
  const accept = incoming.headers.get("accept");
  const notEvents = refused ?? (admitsEvents(accept) ? undefined : notAcceptable(accept));
  const stream = await pipeline.stream(
    notEvents === undefined || incoming.refused !== undefined
      ? incoming
      : { ...incoming, refused: notEvents },
  );
  if (!isAdmitted(stream)) return whole(stream);
  const { call } = stream;
  const { server } = pipeline.parts;
  return streamAnswer(stream, {
    streams,
    facts,
    shape,
    bodies: {
      message: (frame) => frame,
      item: (data) => (isEnvelope ? itemResponse(call, data, server) : data),
      failure: (error) => failureResponse(call, error, server),
    },
  });
}

/** Events, JSON or anything (contract 11.2). */
export function admitsEvents(accept: string | null): boolean {
  if (accept === null || accept === "") return true;
  return accept
    .toLowerCase()
    .split(",")
    .some((entry) => {
      const [name = "", ...parameters] = entry.split(";").map((part) => part.trim());
      const isExcluded = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
      return !isExcluded && EVENTS.has(name);
    });
}

const EVENTS = new Set(["text/event-stream", "application/json", "*/*", "text/*", "application/*"]);

const notAcceptable = (accept: string | null): RpcError =>
  rpcError(1003, "NotAcceptable", "streams are events", {
    field: "header.accept",
    metadata: { accept: accept?.slice(0, 256) ?? "", supported: ["text/event-stream"] },
  });

/** `GET`: the list of methods, as a call without a body (contract 15.1). */
export async function listMethods(
  request: Request,
  facts: RequestFacts,
  parts: BareParts,
): Promise<Response> {
  const config = parts.config();
  const { searchParams } = new URL(request.url);
  const data = Object.fromEntries(
    ["version", "service"].flatMap((key) => {
      const value = searchParams.get(key);
      return value === null ? [] : [[key, value]];
    }),
  );
  const form = onlyJson(answerForm(undefined, request.headers, "application/json", config));
  const { message } = implied(data, "rpc.v2/SystemService/Methods");
  const received = {
    message,
    requestBytes: 0,
    refused: undefined,
    config,
    startedAt: performance.now(),
    startedAtMs: Date.now(),
  };
  return bare(
    await parts.pipeline.unary(incomingOf(request, facts, received, form, {}, parts)),
    data,
    form,
    parts,
  );
}
