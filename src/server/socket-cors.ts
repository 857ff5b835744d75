// Which web pages may use namespaces of Socket.IO. One engine answers for all namespaces of its path, so its headers permit what any of
// them permits; what one of them does not, is refused when a client asks for that namespace.
import type { RequestFacts } from "./request-facts.ts";

export type AllowedOrigins =
  | "*"
  | readonly string[]
  | ((origin: string, request: Request, facts: RequestFacts) => boolean);

export interface SocketCors {
  readonly origins: AllowedOrigins;
  readonly methods: readonly string[];
  /** Whether pages may send what their browser keeps for this server. */
  readonly credentials?: boolean;
  /** Headers that a preflight permits; those that it asks for when absent. */
  readonly allowedHeaders?: readonly string[];
}

/** A request without an origin comes from no page. */
export function allowsOrigin(
  { origins }: Pick<SocketCors, "origins">,
  request: Request,
  facts: RequestFacts,
): boolean {
  const origin = request.headers.get("origin");
  return origins === "*" || origin === null || permits(origins, origin, request, facts);
}

/** Sets the headers of every answer at a path, for all that claim it; those of a preflight too where the request is one. */
export function setCors(
  headers: Headers,
  all: readonly SocketCors[],
  request: Request,
  facts: RequestFacts,
): void {
  const origin = request.headers.get("origin");
  const permitting = all.filter(
    ({ origins }) => origins === "*" || (origin !== null && permits(origins, origin, request, facts)),
  );
  if (all.some(({ origins }) => origins === "*")) headers.set("Access-Control-Allow-Origin", "*");
  else {
    headers.set("Access-Control-Allow-Origin", origin !== null && permitting.length > 0 ? origin : "false");
    headers.append("Vary", "Origin");
  }
  if (permitting.some(({ credentials }) => credentials === true))
    headers.set("Access-Control-Allow-Credentials", "true");
  if (request.method === "OPTIONS") setPreflight(headers, all, request);
}

function setPreflight(headers: Headers, all: readonly SocketCors[], request: Request): void {
  headers.set("Access-Control-Allow-Methods", [...new Set(all.flatMap(({ methods }) => methods))].join(","));
  const lists = all.map(({ allowedHeaders }) => allowedHeaders);
  if (lists.every((list) => list !== undefined)) {
    headers.set("Access-Control-Allow-Headers", [...new Set(lists.flat())].join(","));
    return;
  }
  const asked = request.headers.get("access-control-request-headers");
  if (asked === null || asked === "") return;
  headers.append("Vary", "Access-Control-Request-Headers");
  headers.set("Access-Control-Allow-Headers", asked);
}

function permits(
  origins: Exclude<AllowedOrigins, "*">,
  origin: string,
  request: Request,
  facts: RequestFacts,
): boolean {
  return typeof origins === "function" ? origins(origin, request, facts) : origins.includes(origin);
}
