// Whose body is read. The token comes first: an account may send what the configuration permits. Where the token is missing or wrong a
// small body is still read, because what is wrong with it is told before what is wrong with the token (HTTP contract 1.4); from an
// address that has cost too much it is not.
import type { RequestBody } from "../../../http/request-body.ts";
import { promisedBytes } from "../../../server/body.ts";
import { CLIENT_HEADER } from "../../client.ts";
import type { HappyContext } from "../../context.ts";
import { BodyProblem, bodyProblem, checkBody, emptyBody, readTyped, type TypedBody } from "./body.ts";
import type { Endpoint } from "./endpoint.ts";
import { refusalOf, type Sender, type Unauthorized } from "./sender.ts";

/** About what the check of a token costs. */
const TOKEN_WORK_MS = 0.2;

export interface Sent {
  readonly context: HappyContext;
  readonly endpoint: Endpoint;
  readonly request: Request;
  readonly body: RequestBody;
}

/**
 * The body, or undefined when there is none or the handler reads it itself.
 * @throws Unauthorized where nothing has to be told before; BodyProblem; BodyRefused busy or too-much-work.
 */
export function sentBy(sender: Sender, sent: Sent): TypedBody | undefined | Promise<TypedBody | undefined> {
  const { context, request, body } = sent;
  const refused = refusalOf(context, sender);
  const isAccount = sender.kind === "account" && refused === undefined;
  if (isAccount) {
    body.authenticated(sender.claims.account);
    context.tokenUsage.note(sender.claims, request.headers.get(CLIENT_HEADER));
  } else if (refused !== undefined) body.charge({ workMs: TOKEN_WORK_MS });
  if (request.body === null) return emptyBody(request);
  return isAccount ? read(sent) : ofStranger(sent, refused);
}

async function ofStranger(sent: Sent, refused: Unauthorized | undefined): Promise<TypedBody | undefined> {
  const { context, endpoint, request } = sent;
  const limit = context.config.maxAnonymousBodyBytes;
  if (refused !== undefined && !endpoint.streams && promisedBytes(request) > limit) throw refused;
  try {
    return await read(sent);
  } catch (error) {
    const problem = bodyProblem(error);
    // More than a stranger may send, late, or at a bad time: what the token lacks is the better answer.
    const isTold =
      problem instanceof BodyProblem && (endpoint.streams || ![408, 413].includes(problem.status));
    throw refused !== undefined && !isTold ? refused : problem;
  }
}

function read({ context, endpoint, request, body }: Sent): Promise<TypedBody | undefined> {
  if (endpoint.streams !== true) return body.within((bound) => readTyped(request, bound));
  return body.within(async () => {
    // Nothing is read here: the handler knows how much it takes.
    await checkBody(request, context.config.maxBodyBytes);
    return undefined;
  });
}
