// Paths of the services that are called without an envelope (contract 1): the body is the message itself, and so is the answer. A body that
// is an envelope all the same is answered as one. Both are calls of the same methods, through the one pipeline.
import type { RequestBody } from "../../http/request-body.ts";
import type { RequestFacts } from "../../server/request-facts.ts";
import type { RpcDocument } from "../document/document.ts";
import { type AskedForm, answerForm, streamAnswerForm } from "../formats/negotiation.ts";
import type { Finished } from "../pipeline/pipeline.ts";
import { messageWriter, responseWriter } from "../streams/frame-writer.ts";
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
  nothingReceived,
} from "./exchange.ts";
import { type StreamParts, streamAnswer } from "./stream-answer.ts";

export type BareParts = ExchangeParts & StreamParts;

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
  const formOf = isStream ? streamForm : wholeForm;
  const form = formOf(asked.message, request.headers, config);
  const came = { ...received, message: asked.message, refused: received.refused ?? asked.refused };
  const kind = isStream ? "stream" : "unary";
  const incoming = incomingOf(request, facts, came, form, { kind }, parts);
  const answered = isStream
    ? await streamAnswer(
        {
          request,
          facts,
          incoming,
          writer: (shape, call) =>
            shape === "message" ? messageWriter : responseWriter(call, pipeline.parts.server, !isEnvelope),
        },
        parts,
      )
    : await pipeline.unary(incoming);
  if (answered instanceof Response) return answered;
  return isEnvelope ? answer(answered, form, parts.formats) : bare(answered, message, form, parts);
}

type FormOf = (message: unknown, headers: Headers, config: RpcDocument) => AskedForm;

const JSON_FORMAT = "application/json";

const wholeForm: FormOf = (message, headers, config) => {
  const form = answerForm(message, headers, JSON_FORMAT, config);
  if (form.format === JSON_FORMAT) return form;
  return {
    format: JSON_FORMAT,
    compression: form.compression,
    refused: rpcError(1003, "NotAcceptable", "only JSON is served here", {
      metadata: { supported: [JSON_FORMAT] },
    }),
  };
};

/** Of a refusal; nobody is refused for having liked another form of it better. */
const streamForm: FormOf = (message, headers, config) => ({
  ...streamAnswerForm(message, headers, JSON_FORMAT, config),
  format: JSON_FORMAT,
});

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
  form: AskedForm,
  { formats }: Pick<BareParts, "formats">,
): Response | Promise<Response> {
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
  const form = wholeForm(undefined, request.headers, config);
  const { message } = implied(data, "rpc.v2/SystemService/Methods");
  const received = { ...nothingReceived(config), message };
  return bare(
    await parts.pipeline.unary(incomingOf(request, facts, received, form, {}, parts)),
    data,
    form,
    parts,
  );
}
