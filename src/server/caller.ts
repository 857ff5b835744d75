// Where a request or a socket comes from, and the word that an account stands behind it. Small: every socket keeps one.
import type { Addresses } from "../limits/addresses.ts";
import type { RemoteEnd } from "./connections-linux.ts";
import type { KnownPeers } from "./known-peers.ts";

export class Caller {
  #isKnown = false;

  constructor(
    /** Address of the peer, or of the client behind a trusted proxy. */
    readonly address: string,
    /** The other end of the connection. */
    readonly peer: RemoteEnd,
    private readonly addresses: Addresses,
    private readonly peers: KnownPeers,
  ) {}

  /** An account has proved itself here: neither its address nor its connection is a stranger's. Cheap enough for every request. */
  authenticated(account: string): void {
    this.#isKnown = true;
    this.addresses.authenticated(this.address, account);
    this.peers.note(this.peer.address, this.peer.port);
  }

  get isKnown(): boolean {
    return this.#isKnown;
  }
}
