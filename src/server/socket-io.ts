// The Socket.IO paths of this server. Protocols claim namespaces on them before the door opens; several may share a path, each with its
// own proof of who a client is, limits, web pages and bus.
import type { Namespace } from "socket.io";
import type { ClaimedNamespace } from "./claimed-namespace.ts";
import type { NamespaceClaim, OpenNamespace } from "./socket-claims.ts";
import type { SharedEndpoint } from "./socket-endpoint.ts";
import { SocketIoPath, type SocketIoPathParts } from "./socket-io-path.ts";

export class SocketIoPaths {
  readonly #paths = new Map<string, SocketIoPath>();

  constructor(private readonly parts: SocketIoPathParts) {}

  /** @throws Error with a sentence that names both, where two protocols want one namespace. */
  claim(path: string, claim: NamespaceClaim): ClaimedNamespace {
    return this.#at(path).claim(claim);
  }

  /** A namespace that anybody may join. @throws as `claim`. */
  claimOpen(path: string, claim: OpenNamespace): Namespace {
    return this.#at(path).claimOpen(claim);
  }

  /** For the door: what was claimed. Nothing can be claimed any more. */
  open(): readonly SharedEndpoint[] {
    return [...this.#paths.values()].map((path) => path.open());
  }

  #at(path: string): SocketIoPath {
    const known = this.#paths.get(path);
    if (known !== undefined) return known;
    const added = new SocketIoPath(path, this.parts);
    this.#paths.set(path, added);
    return added;
  }
}
