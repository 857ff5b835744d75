// Whose request it is, as its token says (HTTP contract 1.7 and 2).
import { bearerToken } from "../../../auth/bearer.ts";
import type { TokenClaims } from "../../auth/tokens.ts";
import type { HappyContext } from "../../context.ts";
import type { Endpoint } from "./endpoint.ts";

/** Of an account, of anybody where no token is needed, or of a stranger where one is. */
export type Sender =
  | { readonly kind: "account"; readonly claims: TokenClaims }
  | { readonly kind: "anybody" }
  | { readonly kind: "refused"; readonly text: string };

/** Becomes the 401. */
export class Unauthorized extends Error {
  constructor(
    message: string,
    /** The account, when the token is valid and shut out. */
    readonly shutOut?: string,
  ) {
    super(message);
  }
}

/** Without waiting where the token was verified lately. */
export function identify(
  { tokens }: Pick<HappyContext, "tokens">,
  { auth }: Pick<Endpoint, "auth">,
  request: Request,
): Sender | Promise<Sender> {
  if (auth === "none") return ANYBODY;
  const token = bearerToken(request.headers.get("authorization"));
  if (token === undefined) return { kind: "refused", text: "Missing authorization header" };
  const claims = tokens.verifiedBefore(token);
  return claims === undefined ? tokens.verify(token).then(senderOf) : { kind: "account", claims };
}

const ANYBODY: Sender = { kind: "anybody" };

const senderOf = (claims: TokenClaims | undefined): Sender =>
  claims === undefined ? { kind: "refused", text: "Invalid token" } : { kind: "account", claims };

/** Why the sender may not go on; undefined when it may. Of a valid token the answer may change from one moment to the next. */
export function refusalOf(
  { revocations }: Pick<HappyContext, "revocations">,
  sender: Sender,
): Unauthorized | undefined {
  if (sender.kind === "refused") return new Unauthorized(sender.text);
  if (sender.kind === "account" && revocations.refuses(sender.claims))
    return new Unauthorized("Invalid token", sender.claims.account);
  return undefined;
}
