// One call on its way through the pipeline. Each stage fills in its part; what comes later relies on what came before.
import type { RpcDocument } from "../document/document.ts";
import type { Principal, Progress } from "../registry/call-context.ts";
import type { MethodDefinition } from "../registry/definition.ts";
import type { RpcRequest } from "../wire/request.ts";
import type { Pagination, RateLimitInfo } from "../wire/response.ts";
import { RpcError } from "../wire/rpc-error.ts";
import type { Incoming } from "./incoming.ts";
import type { Outcome } from "./outcome.ts";

/** The span of the server for this call. */
export interface CallTrace {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined when the trace begins here. */
  readonly parentSpanId: string | undefined;
  readonly sampled: boolean;
  readonly baggage: Readonly<Record<string, string>>;
  readonly state: string | undefined;
  /** Of another trace that a header named. */
  readonly link: { readonly traceId: string; readonly spanId: string } | undefined;
}

/** A principal, with the tenant that it is bound to. */
export interface Identity extends Principal {
  readonly tenant: string | undefined;
}

export const NOBODY: Identity = {
  id: "anonymous",
  type: "anonymous",
  roles: [],
  scopes: [],
  verified: false,
  auth_scheme: null,
  tenant: undefined,
};

/** Why a call ended before its handler did. */
export type EndedBy = "deadline" | "disconnect" | "cancel" | "shutdown";

export class Call {
  readonly config: RpcDocument;
  /** Empty until it could be read. */
  id = "";
  request: RpcRequest | undefined;
  version: string | undefined;
  trace: CallTrace | undefined;
  identity: Identity = NOBODY;
  tenant = "default";
  method: MethodDefinition | undefined;
  /** Of the method that answers, in full. */
  methodName = "";
  /** As it was called, where that is an alias. */
  aliasOf: string | undefined;
  /** Of a request about a stream: the method that was called for it. */
  about: string | undefined;
  attempt = 1;
  rateLimit: RateLimitInfo | undefined;
  pagination: Pagination | undefined;
  /** Of `metadata.headers`. */
  readonly headers: Record<string, string> = {};
  /** HTTP headers beside them, such as those of a deprecation. */
  readonly httpHeaders: Record<string, string> = {};
  /** Of `performance.now()`; undefined without a deadline. */
  deadlineAt: number | undefined;
  /** Of a task. */
  progress: ((progress: Progress) => void) | undefined;
  /** Set where the caller was answered before the handler ended: how it ends after all. Never rejects. */
  late: Promise<Outcome> | undefined;
  /** What the observer remembers of it. */
  observed: object | undefined;
  #controller: AbortController | undefined;
  #endedBy: EndedBy | undefined;

  constructor(readonly incoming: Incoming) {
    this.config = incoming.config;
  }

  /** Once the envelope was read. */
  get asked(): RpcRequest {
    if (this.request === undefined) throw new Error("the request was not read yet");
    return this.request;
  }

  get definition(): MethodDefinition {
    if (this.method === undefined) throw new Error("the method was not looked up yet");
    return this.method;
  }

  /** Made when somebody asks: most handlers do not. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#endedBy !== undefined && !this.#controller.signal.aborted)
      this.#controller.abort(this.#reason());
    return this.#controller.signal;
  }

  get endedBy(): EndedBy | undefined {
    return this.#endedBy;
  }

  /** The handler is told; nothing waits for it. The first reason counts. */
  end(by: EndedBy): void {
    if (this.#endedBy !== undefined) return;
    this.#endedBy = by;
    this.#controller?.abort(this.#reason());
  }

  /** Its tenant is the one that its principal is bound to, and nobody's invention. */
  get isTenantProved(): boolean {
    return this.identity.verified && this.identity.tenant === this.tenant;
  }

  /** Until the deadline; infinite without one, and at least 0. */
  remainingMs(): number {
    return this.deadlineAt === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(0, this.deadlineAt - performance.now());
  }

  #reason(): RpcError {
    return new RpcError(this.#endedBy === "deadline" ? 5003 : 5002, { message: `ended by ${this.#endedBy}` });
  }
}
