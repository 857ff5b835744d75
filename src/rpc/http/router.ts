// Paths and verbs that are not served (contract 1): told in an envelope like every other error, and written down like every other call.
import type { RequestFacts } from "../../server/request-facts.ts";
import { answerForm } from "../formats/negotiation.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { detail, RpcError } from "../wire/rpc-error.ts";
import { answer, type ExchangeParts, incomingOf, nothingReceived } from "./exchange.ts";

interface RouterParts extends ExchangeParts {
  readonly pipeline: Pipeline;
}

/** 404, error 4001. */
export const unknownPath = (request: Request, facts: RequestFacts, parts: RouterParts): Promise<Response> => {
  const details = [detail("MethodNotFound", "no such path: GET v2/methods lists what can be called")];
  return refused(request, facts, parts, new RpcError(4001, { details }));
};

/** 405, error 2000: the only status that does not follow from the code. `allow`: verbs that are served there. */
export async function wrongVerb(
  request: Request,
  facts: RequestFacts,
  parts: RouterParts,
  allow: string,
): Promise<Response> {
  const details = [detail("InvalidMethod", `served by ${allow}`)];
  const error = new RpcError(2000, { message: "The path is not served by this verb", details });
  const response = await refused(request, facts, parts, error, 405);
  response.headers.set("allow", allow);
  return response;
}

/** What nobody expected, on any path: told in the shape of every other error, and without its text. */
export const unexpected = (
  request: Request,
  facts: RequestFacts,
  parts: RouterParts,
  error: unknown,
): Promise<Response> => refused(request, facts, parts, error);

async function refused(
  request: Request,
  facts: RequestFacts,
  parts: RouterParts,
  error: unknown,
  routerStatus?: number,
): Promise<Response> {
  const { pipeline, config: current } = parts;
  const config = current();
  // A wish that cannot be met hides no wrong path.
  const { refused: _unmet, ...form } = answerForm(undefined, request.headers, undefined, config);
  const incoming = incomingOf(request, facts, nothingReceived(config, error), form, {}, parts);
  const finished = await pipeline.unary(
    routerStatus === undefined ? incoming : { ...incoming, routerStatus },
  );
  return answer(finished, form, parts);
}
