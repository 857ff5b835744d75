// How much of a body is read, and for whom. The token comes first: an account may send what the configuration permits. Where the
// token is missing or wrong a small body is still read, because what is wrong with it is told before what is wrong with the token (HTTP
// contract 1.4); from an address that has cost too much it is not.
import type { BodyShare } from "../../../limits/body-budget.ts";
import { promisedBytes, SILENCE_SECONDS } from "../../../server/body.ts";
import type { RequestFacts } from "../../../server/request-facts.ts";
import type { HappyContext } from "../../context.ts";
import { BodyProblem, bodyProblem, checkBody, emptyRaw, type RawBody, readRaw } from "./body.ts";
import type { Endpoint } from "./endpoint.ts";
import { refusalOf, type Sender, type Unauthorized } from "./sender.ts";

/** About what the check of a token costs. */
const TOKEN_WORK_MS = 0.2;

/** The sender's address costs too much: it may come again later. */
export class TooMuch extends Error {
  constructor(readonly waitMs: number) {
    super("too much work for a stranger");
  }
}

export interface Sent {
  readonly context: HappyContext;
  readonly endpoint: Endpoint;
  readonly request: Request;
  readonly facts: RequestFacts;
  readonly share: BodyShare;
}

/**
 * The body, or undefined when there is none or the handler reads it itself.
 * @throws Unauthorized where nothing has to be told before; TooMuch; BodyProblem; OverBudget.
 */
export function sentBy(sender: Sender, sent: Sent): RawBody | undefined | Promise<RawBody | undefined> {
  const { context, request, facts, share } = sent;
  const refused = refusalOf(context, sender);
  const isAccount = sender.kind === "account" && refused === undefined;
  if (isAccount) {
    facts.caller.authenticated(sender.claims.account);
    context.tokenUsage.note(sender.claims, request.headers.get("x-happy-client"));
    share.authenticated();
  } else if (refused !== undefined) context.strangers.charge(facts.caller.address, { workMs: TOKEN_WORK_MS });
  if (request.body === null) return emptyRaw(request);
  return isAccount ? read(sent, context.config.maxBodyBytes) : ofStranger(sent, refused);
}

async function ofStranger(sent: Sent, refused: Unauthorized | undefined): Promise<RawBody | undefined> {
  const { context, endpoint, request, facts } = sent;
  const { address } = facts.caller;
  const limit = context.config.maxAnonymousBodyBytes;
  if (refused !== undefined && !endpoint.streams && promisedBytes(request) > limit) throw refused;
  const waitMs = context.config.rateLimits ? context.strangers.exceeded(address) : undefined;
  if (waitMs !== undefined) throw refused ?? new TooMuch(waitMs);
  try {
    return await context.strangers.patiently(address, read(sent, limit));
  } catch (error) {
    const problem = bodyProblem(error);
    // More than a stranger may send, or late: what the token lacks is the better answer.
    const isTold =
      problem instanceof BodyProblem && (endpoint.streams || ![408, 413].includes(problem.status));
    throw refused !== undefined && !isTold ? refused : problem;
  }
}

async function read(sent: Sent, limit: number): Promise<RawBody | undefined> {
  const { context, endpoint, request, facts, share } = sent;
  if (endpoint.streams !== true)
    return readRaw(request, limit, share, () => facts.extendIdle(SILENCE_SECONDS));
  // Nothing is read here: the handler knows how much it takes.
  await checkBody(request, context.config.maxBodyBytes);
  return undefined;
}
