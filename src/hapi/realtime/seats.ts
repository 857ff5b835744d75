// How many sockets one namespace of the hub may hold, and all together: whoever has the access token may name any namespace, so that a
// bound for each alone would be none.
import type { Socket } from "socket.io";
import type { Bounds } from "../../limits/bounds.ts";
import type { LimitsConfig } from "../../limits/settings.ts";
import { AccountSockets } from "../../server/account-sockets.ts";
import { ConnectRefused } from "../../server/claimed-namespace.ts";
import { accountOf } from "../auth/web-tokens.ts";

export interface SeatsParts {
  readonly config: Pick<LimitsConfig, "maxAccountSockets">;
  readonly limits: { readonly bounds: Pick<Bounds, "refused"> };
}

/** All together have as many as so many namespaces that are full. */
const FULL_NAMESPACES = 4;
const ALL = "";

export class Seats {
  readonly #own: AccountSockets;
  readonly #all: AccountSockets;

  constructor(private readonly parts: SeatsParts) {
    const { config } = parts;
    this.#own = new AccountSockets(() => config.maxAccountSockets);
    this.#all = new AccountSockets(() => config.maxAccountSockets * FULL_NAMESPACES);
  }

  /** @throws ConnectRefused when the namespace, or all of them, hold as many as they may. */
  take(namespace: string, { conn }: Socket): void {
    if (this.#own.take(namespace, conn)) {
      if (this.#all.take(ALL, conn)) return;
      this.#own.leave(namespace, conn);
    }
    const { config, limits } = this.parts;
    limits.bounds.refused("account-sockets", {
      account: accountOf({ ns: namespace }),
      limit: config.maxAccountSockets,
    });
    throw new ConnectRefused({ message: "Too many connections are open already" });
  }

  leave(namespace: string, { conn }: Socket): void {
    this.#own.leave(namespace, conn);
    this.#all.leave(ALL, conn);
  }
}
