// Where a request or a socket comes from, and the word that an account stands behind it. Small: every socket keeps one.
import type { Addresses } from "../limits/addresses.ts";

export class Caller {
  constructor(
    /** Address of the peer, or of the client behind a trusted proxy. */
    readonly address: string,
    private readonly addresses: Addresses,
  ) {}

  /** An account has proved itself here: its address is no stranger's any more. Cheap enough for every request. */
  authenticated(account: string): void {
    this.addresses.authenticated(this.address, account);
  }
}
