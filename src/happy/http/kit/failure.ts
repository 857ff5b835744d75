// What an error becomes: the contract's answer (HTTP contract 1.5), or an unexpected failure whose text stays in the log.

import { BodyRefused } from "../../../http/request-body.ts";
import { later, secondsOf } from "../../../http/retry-after.ts";
import { ValueTooLarge } from "../../../limits/value-sizes.ts";
import { asStorageError, StorageError } from "../../../storage/errors.ts";
import type { HappyContext } from "../../context.ts";
import { BodyProblem, bodyProblem } from "./body.ts";
import { type Endpoint, json, refusal } from "./endpoint.ts";
import { ValidationProblem } from "./validate.ts";

interface Generic {
  readonly error: string;
  readonly message: string;
  readonly statusCode: number;
}

type Parts = Pick<HappyContext, "bounds" | "log">;

/** @param request the id under which the log knows it */
export function failure(context: Parts, endpoint: Endpoint, thrown: unknown, request: string): Response {
  const error = bodyProblem(thrown);
  if (error instanceof ValidationProblem)
    return generic(endpoint, { error: "Error", message: error.message, statusCode: 400 });
  if (error instanceof ValueTooLarge) {
    const { field, bytes, limitBytes } = error;
    context.bounds.refused("value-size", { value: field, bytes, limitBytes });
    return generic(endpoint, { error: "Payload Too Large", message: error.message, statusCode: 413 });
  }
  if (error instanceof BodyRefused && error.code === "too-much-work") return tooMany(error.facts.waitMs ?? 0);
  if (error instanceof BodyRefused) {
    const message = "The server is busy with other uploads. Try again in a moment.";
    const answer = generic(endpoint, { error: "Service Unavailable", message, statusCode: 503 });
    return closing(later(answer, 2_000));
  }
  if (error instanceof BodyProblem) {
    const answer = generic(endpoint, {
      error: error.error,
      message: error.message,
      statusCode: error.status,
    });
    return error.status === 415 ? answer : closing(answer);
  }
  return unexpected(context, endpoint, error, request);
}

export function unexpected(
  { log }: Pick<Parts, "log">,
  endpoint: Endpoint | undefined,
  thrown: unknown,
  request: string,
): Response {
  // What a reader throws is SQLite's own error still.
  const error = asStorageError(thrown);
  const route = endpoint && `${endpoint.method} ${endpoint.path}`;
  if (error instanceof StorageError && error.code === "quota") {
    log.debug({ request, route, code: error.code }, error.message);
    return json({ error: "Insufficient Storage", message: error.message, statusCode: 507 }, 507);
  }
  if (error instanceof StorageError) {
    log.error({ request, route, code: error.code }, error.message);
    return json({ error: "Service Unavailable", message: error.message, statusCode: 503 }, 503);
  }
  log.error({ request, route, err: error }, "a request ended in an unexpected error");
  if (endpoint?.failure !== undefined) return json(endpoint.failure, 500);
  return generic(endpoint, {
    error: "Internal Server Error",
    message: "An unexpected error occurred",
    statusCode: 500,
  });
}

export function tooMany(waitMs: number): Response {
  return later(refusal(429, `Too many requests. Try again in ${secondsOf(waitMs)} s.`), waitMs);
}

function generic(endpoint: Endpoint | undefined, body: Generic): Response {
  const isBare = endpoint?.bareErrors?.includes(body.statusCode) === true;
  return json(isBare ? { error: body.error } : body, body.statusCode);
}

/** What is left of a refused body must not be read as the next request. */
function closing(answer: Response): Response {
  answer.headers.set("connection", "close");
  return answer;
}
