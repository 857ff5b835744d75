// Which addresses accounts have come from. A cap per address is meant for strangers: an address that has brought an account has a
// wider one, and a private or gateway address that brings several accounts is shared (a proxy that was not configured, a container's
// network), so that one stranger behind it never locks the others out. In memory and bounded: a restart forgets.
import { isPrivate, networkOf } from "./network.ts";

/** `known`: an account has come from there; `shared`: several, from an address that can be a proxy's. */
export type Standing = "unknown" | "known" | "shared";

/** How much more than a stranger's an address may take. */
const WIDER: Readonly<Record<Standing, number>> = { unknown: 1, known: 4, shared: 16 };

const MAX_NETWORKS = 20_000;
/** More are not told apart. */
const MAX_ACCOUNTS = 4;
const FORGET_MS = 24 * 3_600_000;
/** Within this time an account of an address is not noted again: every request asks. */
const NOTED_MS = 60_000;

interface KnownNetwork {
  readonly accounts: Set<string>;
  readonly isPrivate: boolean;
  at: number;
}

export class Addresses {
  /** Least lately seen first. */
  readonly #networks = new Map<string, KnownNetwork>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** `account` proved itself from `address`. Cheap enough for every request. */
  authenticated(address: string, account: string): void {
    const network = networkOf(address);
    const known = this.#networks.get(network);
    const now = this.now();
    if (known !== undefined && now - known.at < NOTED_MS && hasNoted(known, account)) return;
    const seen = known ?? { accounts: new Set<string>(), isPrivate: isPrivate(address), at: 0 };
    seen.at = now;
    if (seen.accounts.size < MAX_ACCOUNTS) seen.accounts.add(account);
    this.#networks.delete(network);
    this.#networks.set(network, seen);
    if (this.#networks.size <= MAX_NETWORKS) return;
    for (const oldest of this.#networks.keys()) {
      this.#networks.delete(oldest);
      break;
    }
  }

  standing(address: string): Standing {
    const seen = this.#networks.get(networkOf(address));
    if (seen === undefined || this.now() - seen.at > FORGET_MS) return "unknown";
    return seen.isPrivate && seen.accounts.size > 1 ? "shared" : "known";
  }

  /** What a limit for one unknown address becomes for this one. */
  widened(limit: number, address: string): number {
    return limit * WIDER[this.standing(address)];
  }

  /** Shared addresses, for the doctor: "configure trusted proxies". */
  shared(): string[] {
    return [...this.#networks].flatMap(([network, seen]) =>
      seen.isPrivate && seen.accounts.size > 1 && this.now() - seen.at <= FORGET_MS ? [network] : [],
    );
  }
}

const hasNoted = ({ accounts }: KnownNetwork, account: string) =>
  accounts.size >= MAX_ACCOUNTS || accounts.has(account);
