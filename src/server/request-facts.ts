// Facts about one HTTP request that only the door knows.
import type { Caller } from "./caller.ts";
import type { ClientCertificate } from "./tls-door-certificate.ts";

export interface RequestFacts {
  readonly caller: Caller;
  /** Address of the peer, or of the client behind a trusted proxy. */
  readonly clientAddress: string;
  /** True when the peer may speak for others with `X-Forwarded-*`. */
  readonly trustedProxy: boolean;
  /** The connection to this server is encrypted. What the request's URL says of it is not to be trusted. */
  readonly isSecure: boolean;
  /** That the client has shown, and the handshake verified; only at a listener that asks for one. */
  readonly certificate: ClientCertificate | undefined;
  /** Names the request in the log. */
  readonly id: string;
  /** Names of what is served at the listener that took the request. */
  readonly served: ReadonlySet<string>;
  /** The protocol names the template of the route here, for the log and the figures; never the path itself. */
  route: string | undefined;
  /** Seconds that this request may stay open without traffic; 0: for ever. */
  extendIdle(seconds: number): void;
}
