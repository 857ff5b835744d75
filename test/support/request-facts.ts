// What the front door knows about a request, for tests that call an app with a Request and need no port.
import { Addresses } from "../../src/limits/addresses.ts";
import { Caller } from "../../src/server/caller.ts";
import { KnownPeers } from "../../src/server/known-peers.ts";
import type { RequestFacts } from "../../src/server/request-facts.ts";

export interface FactsFrom {
  readonly address?: string;
  readonly trustedProxy?: boolean;
  readonly isSecure?: boolean;
  readonly addresses?: Addresses;
}

export function requestFacts({
  address = "203.0.113.7",
  trustedProxy = false,
  isSecure = false,
  addresses = new Addresses(),
}: FactsFrom = {}): RequestFacts {
  return {
    caller: new Caller(address, { address, port: 50_000, localPort: 3005 }, addresses, new KnownPeers()),
    clientAddress: address,
    trustedProxy,
    isSecure,
    certificate: undefined,
    id: "test-1",
    served: new Set(),
    route: undefined,
    extendIdle: () => {},
  };
}
