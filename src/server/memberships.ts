// In which namespaces one Socket.IO connection is, by the packets that passed: what it asked for, where it was let in, under which name,
// and what it may therefore send. It is in each claimed namespace at most once.
import { largest, type NamespaceClaim, type NamespaceLimits, type ServedClaims } from "./socket-claims.ts";

export interface Membership {
  phase: "outside" | "asking" | "inside";
  /** What the client calls the namespace. */
  name: string;
}

export class Memberships {
  readonly #members = new Map<NamespaceClaim, Membership>();
  /** Namespaces that ask for no proof, and that it has joined. */
  readonly #open = new Set<string>();
  #inside = 0;
  #limits: NamespaceLimits;
  #quickPrefix: string | undefined;
  /** The namespace that goes by another name here. */
  #renamed: { readonly namespace: string; readonly name: string } | undefined;

  constructor(private readonly claims: ServedClaims) {
    this.#limits = claims.startLimits;
  }

  /** It was let in somewhere, where proof is asked for. */
  get isInside(): boolean {
    return this.#inside > 0;
  }

  /** It waits for the server, or is where it may stay: no newcomer needs its place more. */
  get isBusy(): boolean {
    for (const { phase } of this.#members.values()) if (phase === "asking") return true;
    for (const namespace of this.#open) if (this.claims.keepsPlace(namespace)) return true;
    return false;
  }

  get isAnywhere(): boolean {
    return this.isInside || this.#open.size > 0;
  }

  /** Of everything where it is in; the smallest of all claims where it is in nothing. */
  get limits(): NamespaceLimits {
    return this.#limits;
  }

  /** How an event without an acknowledgement begins that needs no closer look: of its only namespace, under its own name. */
  get quickPrefix(): string | undefined {
    return this.#quickPrefix;
  }

  get renamed(): { readonly namespace: string; readonly name: string } | undefined {
    return this.#renamed;
  }

  of(claim: NamespaceClaim): Readonly<Membership> {
    return this.#members.get(claim) ?? { phase: "outside", name: claim.namespace };
  }

  isIn(claim: NamespaceClaim): boolean {
    return this.#members.get(claim)?.phase === "inside";
  }

  /** It is in several, so that their limits differ from what the connection may. */
  get hasSeveral(): boolean {
    return this.#inside > 1;
  }

  /** Whether another claim than this one has, or is about to have, a socket on the connection. */
  hasBeside(claim: NamespaceClaim): boolean {
    for (const [other, { phase }] of this.#members) if (other !== claim && phase !== "outside") return true;
    return false;
  }

  asks(claim: NamespaceClaim, name: string): void {
    this.#members.set(claim, { phase: "asking", name });
    if (claim.otherNames === undefined) return;
    this.#renamed = name === claim.namespace ? undefined : { namespace: claim.namespace, name };
  }

  /** The answer to what it asked for. */
  answered(claim: NamespaceClaim, phase: "inside" | "outside"): void {
    this.#change(claim, phase);
  }

  leaves(claim: NamespaceClaim): void {
    this.#change(claim, "outside");
  }

  joinedOpen(namespace: string): void {
    this.#open.add(namespace);
  }

  /** False when it was not there. */
  leftOpen(namespace: string): boolean {
    return this.#open.delete(namespace);
  }

  #change(claim: NamespaceClaim, phase: "inside" | "outside"): void {
    const member = this.#members.get(claim);
    if (member === undefined) return;
    member.phase = phase;
    const inside = [...this.#members].filter(([, { phase }]) => phase === "inside");
    this.#inside = inside.length;
    this.#limits =
      inside.length === 0 ? this.claims.startLimits : largest(inside.map(([{ limits }]) => limits));
    const [only, ...more] = inside;
    this.#quickPrefix = only === undefined || more.length > 0 ? undefined : quickPrefixOf(...only);
  }
}

function quickPrefixOf({ namespace }: NamespaceClaim, { name }: Membership): string | undefined {
  if (name !== namespace) return undefined;
  return namespace === "/" ? "2[" : `2${namespace},[`;
}
