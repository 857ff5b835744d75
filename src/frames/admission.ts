// Who may connect, decided before the upgrade: origin, token, id (frames contract, section 13). A refusal is an HTTP answer with a
// short text; only its status is contract.
import { errors, jwtVerify } from "jose";
import { z } from "zod";
import type { Hub } from "./hub.ts";
import { type Claims, claims, clientId, type Identity } from "./identity.ts";
import type { AuthSettings } from "./settings.ts";

/** No token of ours is near this; longer ones are not worth a signature check. */
const MAX_TOKEN_LENGTH = 16_384;

export type TokenProblem = "expired" | "invalid";

export class Admission {
  readonly #key: Uint8Array;

  constructor(
    private readonly hub: Hub,
    private readonly allowedOrigins: readonly string[],
  ) {
    this.#key = new TextEncoder().encode(hub.settings.auth?.secret ?? "");
  }

  /** The identity with which the request may connect, or the refusal. */
  async admit(request: Request): Promise<Identity | Response> {
    const { auth, maxClients } = this.hub.settings;
    if (!this.#isOriginAllowed(request.headers.get("origin")))
      return refusal(403, "this origin may not connect");
    const query = new URL(request.url).searchParams;
    const identity = auth === undefined ? named(query) : await this.#authenticated(request, query, auth);
    if (identity instanceof Response) return identity;
    if (this.isTaken(identity)) return refusal(409, "this client id is in use");
    if (this.hub.clientCount >= maxClients && this.hub.find(identity.id) === undefined)
      return refusal(503, "too many clients", { "retry-after": "5" });
    return identity;
  }

  /** An anonymous connection may not take the id of an authenticated client. */
  isTaken(identity: Identity): boolean {
    if (this.hub.settings.auth === undefined || identity.claims !== undefined) return false;
    return this.hub.find(identity.id)?.identity.claims !== undefined;
  }

  async #authenticated(
    request: Request,
    query: URLSearchParams,
    auth: AuthSettings,
  ): Promise<Identity | Response> {
    const { authSuccess, authFailure } = this.hub.metrics;
    const token = tokenOf(request, query);
    if (token === undefined) {
      if (!auth.allowAnonymous) {
        authFailure.add();
        return refusal(401, "a token is required");
      }
      return named(query, new Set(auth.anonymousPermissions));
    }
    const verified = await verify(token, this.#key, auth.issuer);
    if (typeof verified === "string") {
      authFailure.add();
      return refusal(401, verified === "expired" ? "the token has expired" : "the token is not valid");
    }
    authSuccess.add();
    const permissions = new Set(verified.permissions);
    if (verified.user_id !== undefined) return { id: verified.user_id, claims: verified, permissions };
    const identity = named(query, permissions);
    return identity instanceof Response ? identity : { ...identity, claims: verified };
  }

  #isOriginAllowed(origin: string | null): boolean {
    return origin === null || this.allowedOrigins.includes("*") || this.allowedOrigins.includes(origin);
  }
}

/** The claims of a token that is signed, in time, and of the issuer: HS256 only, `exp` required, no leeway. */
export async function verify(token: string, key: Uint8Array, issuer: string): Promise<Claims | TokenProblem> {
  if (token.length > MAX_TOKEN_LENGTH) return "invalid";
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["HS256"],
      issuer,
      requiredClaims: ["exp"],
      clockTolerance: 0,
    });
    const parsed = claims.safeParse(payload);
    return parsed.success ? parsed.data : "invalid";
  } catch (error) {
    if (error instanceof errors.JWTExpired) return "expired";
    // Not yet valid counts as expired.
    if (
      error instanceof errors.JWTClaimValidationFailed &&
      error.claim === "nbf" &&
      error.reason === "check_failed"
    )
      return "expired";
    if (error instanceof errors.JOSEError) return "invalid";
    throw error;
  }
}

const bearer = z.string().regex(/^Bearer +\S+$/);

/** The query wins over the header. */
function tokenOf(request: Request, query: URLSearchParams): string | undefined {
  const token = query.get("token");
  if (token !== null && token !== "") return token;
  const header = bearer.safeParse(request.headers.get("authorization"));
  return header.success ? header.data.slice("Bearer ".length).trim() : undefined;
}

/** Without a token the client names itself, or gets a name. */
function named(query: URLSearchParams, permissions?: ReadonlySet<string>): Identity | Response {
  const granted = permissions === undefined ? {} : { permissions };
  const given = query.get("client_id");
  if (given === null) return { id: crypto.randomUUID(), ...granted };
  const id = clientId.safeParse(given);
  return id.success ? { id: id.data, ...granted } : refusal(400, "client_id is not usable");
}

function refusal(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", ...headers },
  });
}
