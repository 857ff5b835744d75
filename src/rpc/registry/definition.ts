// What a method is (contract 15.1): how it is called, by whom, in which versions, and the function that answers it.
import type { ErrorDetail } from "../wire/rpc-error.ts";
import { compareVersions } from "../wire/version.ts";
import type { CallContext } from "./call-context.ts";

export type Data = Readonly<Record<string, unknown>> | null;

/**
 * Returns the result or a promise of it; of a method with `streamingOutput` an async iterable of items. Throws an RpcError for an error
 * with a code of its own.
 */
export type Handler = (data: Data, context: CallContext) => unknown;

/** What `params` must look like. */
export interface ParamsSchema {
  /** Empty when they are right; at most twenty. */
  check(data: Data): readonly ErrorDetail[];
  /** For descriptors, documents and generated types. */
  readonly json: unknown;
}

export interface Permission {
  readonly resource: string;
  readonly action: string;
}

export interface Deprecation {
  readonly since?: string;
  readonly sunsetMs?: number;
  readonly replacement?: string;
}

/** Who brought it. */
export type MethodSource = "builtin" | "room" | "module" | "gateway";

export interface MethodDefinition {
  readonly service: string;
  readonly handler: string;
  readonly source: MethodSource;
  readonly run: Handler;
  /** Of a stream, before its answer begins: what this throws is a refusal like every other. */
  readonly before?: Handler;
  /** Of the method itself, as a semantic version. */
  readonly version?: string;
  /** Versions of the protocol in which it can be called: from this one on, up to and without `until`. */
  readonly since?: string;
  readonly until?: string;
  readonly streamingInput?: boolean;
  readonly streamingOutput?: boolean;
  /** Does no harm when it runs twice. */
  readonly idempotent?: boolean;
  readonly deprecated?: Deprecation;
  readonly permission?: Permission;
  /** Needs no permission, also where roles are checked: it looks itself at what its caller may see. */
  readonly isOpen?: boolean;
  /**
   * What a stranger must not have, whatever the document says: `operator` where roles are not checked, `registrar` also where they are, needs
   * a principal that was verified, or, while authentication is not required, a program on this machine (contract 27.4).
   */
  readonly guard?: "operator" | "registrar";
  /** All of them are needed. */
  readonly scopes?: readonly string[];
  readonly params?: ParamsSchema;
  readonly timeoutMs?: number;
  /** Blocks its thread: what runs is the method of this name in that module, in a thread that can be ended, and never `run`. */
  readonly cpu?: CpuModule;
  /** Full method names that mean this one. */
  readonly aliases?: readonly string[];
  readonly description?: string;
  /** Answers when the breaker refuses, or the handler fails with a code that the breaker counts. */
  readonly fallback?: Handler;
}

/** Where a thread finds the function of a method that blocks: `methods` of the default export, by the handler's name (contract 27.3). */
export interface CpuModule {
  readonly path: string;
}

export const fullName = ({ service, handler }: Pick<MethodDefinition, "service" | "handler">): string =>
  `rpc.v2/${service}/${handler}`;

/** Where a method does not say since when it is there. */
export const FIRST_VERSION = "2.0";

/** Contract 15.2. */
export function isCallable(
  { since = FIRST_VERSION, until }: Pick<MethodDefinition, "since" | "until">,
  version: string,
): boolean {
  return compareVersions(since, version) <= 0 && (until === undefined || compareVersions(until, version) > 0);
}
