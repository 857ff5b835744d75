// Who may connect, decided before the upgrade: token, rate, origin, id, number of clients (frames contract, section 13 and its
// decisions). A refusal is an HTTP answer with a short text; only its status is contract.
import { bearerToken } from "../auth/bearer.ts";
import type { Bounds } from "../limits/bounds.ts";
import { networkOf } from "../limits/network.ts";
import type { RequestFacts } from "../server/request-facts.ts";
import type { Hub } from "./hub.ts";
import type { AuthSettings, HubSettings } from "./hub-settings.ts";
import { clientId, type Identity, isSame } from "./identity.ts";
import type { HubMetrics } from "./metrics.ts";
import { isOwnOrigin, type OwnNames } from "./origin.ts";
import type { Share, Shares } from "./shares.ts";
import { subjectOf, verify } from "./token.ts";

export interface Admitted {
  readonly identity: Identity;
  /** What it counts for. */
  readonly share: Share;
}

/** Their part of all clients, where tokens are asked for. */
const STRANGERS = 3 / 4;

type Caller = Pick<RequestFacts, "clientAddress" | "trustedProxy" | "isSecure">;

export interface AdmissionParts {
  /** Who is here already. */
  readonly hub: Pick<Hub, "find" | "clientCount">;
  readonly settings: HubSettings;
  readonly shares: Shares;
  readonly names: OwnNames;
  /** Whether many people stand behind the address. */
  readonly isShared: (address: string) => boolean;
  readonly metrics: Pick<HubMetrics, "authSuccess" | "authFailure">;
  readonly bounds: Bounds;
}

export class Admission {
  readonly #key: Uint8Array;

  constructor(private readonly parts: AdmissionParts) {
    this.#key = new TextEncoder().encode(parts.settings.auth?.secret ?? "");
  }

  /** The identity with which the request may connect, or the refusal. */
  async admit(request: Request, caller: Caller): Promise<Admitted | Response> {
    const { hub, settings, shares, isShared, bounds } = this.parts;
    const { auth, maxClients } = settings;
    const address = caller.clientAddress;
    const query = new URL(request.url).searchParams;
    const identity = auth === undefined ? named(query) : await this.#authenticated(request, query, auth);
    const subject = identity instanceof Response ? undefined : identity.subject;
    // Strangers, and those whose token fails, count for their address; a proven identity for itself, at every address.
    const share =
      subject === undefined
        ? shares.ofAddress(networkOf(address), isShared(address))
        : shares.ofIdentity(subject);
    if (!share.connections.take()) {
      bounds.refused("frames-connections", { caller: share.name });
      return refusal(429, "too many connections", { "retry-after": "1" });
    }
    if (identity instanceof Response) return identity;
    if (!this.#isOriginAllowed(request.headers, caller, identity))
      return refusal(403, "pages of this origin may not connect (frames-origins)");
    const holder = hub.find(identity.id);
    if (this.isTaken(identity)) {
      holder?.probe();
      return refusal(409, "this client id is in use");
    }
    const replaces = holder !== undefined;
    if (!share.hasPlace && !replaces) {
      bounds.refused("frames-clients", { caller: share.name, clients: share.clients });
      return refusal(429, "too many clients", { "retry-after": "5" });
    }
    // Strangers leave places for those who prove who they are.
    const places =
      auth !== undefined && subject === undefined ? Math.ceil(maxClients * STRANGERS) : maxClients;
    if (hub.clientCount >= places && !replaces)
      return refusal(503, "too many clients", { "retry-after": "5" });
    return { identity, share };
  }

  /** A client is replaced only by one with the same verified identity. */
  isTaken(identity: Identity): boolean {
    const holder = this.parts.hub.find(identity.id);
    return holder !== undefined && !isSame(holder.identity, identity);
  }

  async #authenticated(
    request: Request,
    query: URLSearchParams,
    auth: AuthSettings,
  ): Promise<Identity | Response> {
    const { authSuccess, authFailure } = this.parts.metrics;
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
    const proven = { claims: verified, subject: subjectOf(verified, token) };
    if (verified.user_id !== undefined) return { id: verified.user_id, ...proven, permissions };
    const identity = named(query, permissions);
    return identity instanceof Response ? identity : { ...identity, ...proven };
  }

  /** Where none are listed, a page of another origin needs a token: it has nothing from the browser that it could abuse then. */
  #isOriginAllowed(headers: Headers, { trustedProxy, isSecure }: Caller, { subject }: Identity): boolean {
    const origin = headers.get("origin");
    const { settings, names } = this.parts;
    const { origins } = settings;
    if (origin === null || origins?.includes("*") || origins?.includes(origin)) return true;
    if (origins === undefined && subject !== undefined) return true;
    return isOwnOrigin({ headers, trustedProxy, isSecure }, names);
  }
}

/** The query wins over the header. */
function tokenOf(request: Request, query: URLSearchParams): string | undefined {
  // As a command prints it, or a file ends, there is a line's end behind it.
  const token = query.get("token")?.trim();
  if (token !== undefined && token !== "") return token;
  return bearerToken(request.headers.get("authorization"), "several blanks");
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
