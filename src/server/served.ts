// What the door takes: the paths that a protocol answers and the sockets that it serves. The door knows nothing else of it.
import type { RequestFacts } from "./request-facts.ts";
import type { SocketEndpoint } from "./socket-endpoint.ts";

export type Fetch = (request: Request, facts: RequestFacts) => Response | Promise<Response>;

export interface HttpClaim {
  /** Exactly these, before every prefix. */
  readonly paths?: readonly string[];
  /** Each itself and everything below; the longest of all claims wins. `"/"` takes what nobody else claims. */
  readonly prefixes?: readonly string[];
  readonly fetch: Fetch;
}

export interface Served {
  /** As people know it: sentences about claims that collide say it. */
  readonly name: string;
  readonly http: readonly HttpClaim[];
  /** Of its own. Socket.IO paths that several share are handed to the door apart. */
  readonly sockets: readonly SocketEndpoint[];
  /** The door closes: answers that would stay open end now, so that their clients come back. Must not throw. */
  readonly endAnswers?: () => void;
}
