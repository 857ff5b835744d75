// What a protocol room hands the front door: the paths it answers and the sockets it serves. The door knows nothing else of it.
import type { Caller } from "./caller.ts";
import type { SocketEndpoint } from "./socket-endpoint.ts";

/** Facts about one HTTP request that only the door knows. */
export interface RequestFacts {
  readonly caller: Caller;
  /** Address of the peer, or of the client behind a trusted proxy. */
  readonly clientAddress: string;
  /** True when the peer may speak for others with `X-Forwarded-*`. */
  readonly trustedProxy: boolean;
  /** Names the request in the log. */
  readonly id: string;
  /** The protocol names the template of the route here, for the log and the figures; never the path itself. */
  route: string | undefined;
  /** Milliseconds-free: seconds this request may stay open without traffic. */
  extendIdle(seconds: number): void;
}

export interface Protocol {
  readonly name: string;
  /** Path prefixes it answers; the longest match wins. `"/"` takes whatever nobody else claimed. */
  readonly prefixes: readonly string[];
  readonly fetch: (request: Request, facts: RequestFacts) => Response | Promise<Response>;
  readonly sockets: readonly SocketEndpoint[];
  /** Begins timers and background work. The door is open by then. */
  start(): void;
  /** Ends background work and stores what is pending. No request arrives any more. */
  stop(): Promise<void>;
}
