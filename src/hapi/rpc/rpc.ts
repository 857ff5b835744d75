// Calls into CLI processes (hapi-socket 11) over the relay: the newest registrant answers, a call ends when its registrant's socket does,
// and what callers are told of a failure is the contract's own text.
import { isTooDeep } from "../../limits/json-depth.ts";
import type { MemoryCeiling } from "../../limits/memory-ceiling.ts";
import type { RelayFailure } from "../../relay/outcome.ts";
import { type RelayLimits, RpcRelay } from "../../relay/rpc-relay.ts";
import type { RpcTarget } from "../../relay/target.ts";
import { paramsText } from "./params-text.ts";

/** Its message is one of the texts of hapi-socket 11, or says which bound of ours refused the call. */
export class RpcFailure extends Error {}

/** Nobody was asked: too much waits already, and the caller may come again. */
export class RpcBusy extends RpcFailure {}

export interface RpcOptions {
  /** Instead of the method's own. */
  readonly timeoutMs?: number;
  /** Called when the CLI has been asked. */
  readonly sent?: () => void;
}

export interface Rpc {
  /**
   * Calls `<id>:<method>` of a session or machine that the caller may use. The answer is decoded; undefined when it was none.
   * @throws RpcFailure
   */
  call(id: string, method: string, params: unknown, options?: RpcOptions): Promise<unknown>;
}

const DEFAULT_MS = 30_000;
const PLAN_MS = 60_000;
/** Lists of models and of sessions, fork, rewind, clear (hapi-socket 18.5). */
const LONG_MS = 120_000;

const LONG_METHODS: ReadonlySet<string> = new Set([
  "archiveCodexSession",
  "clear-conversation",
  "fork-conversation",
  "listAgyModels",
  "listCodexModels",
  "listCodexSessions",
  "listCopilotModels",
  "listCopilotModelsForCwd",
  "listCursorModels",
  "listGrokModels",
  "listGrokModelsForCwd",
  "listGrokReasoningEffortOptions",
  "listOpencodeModelVariants",
  "listOpencodeModels",
  "listOpencodeModelsForCwd",
  "listOpencodeReasoningEffortOptions",
  "listPiModels",
  "listPiModelsForMachine",
  "listPiSessions",
  "rewind-conversation",
]);

const MIB = 1024 * 1024;
/** CLIs register about 35. An upload of 50 MiB is 67 MiB of base64. */
const LIMITS: RelayLimits = {
  methods: 500,
  methodLength: 1_024,
  calls: 200,
  paramsBytes: 72 * MIB,
  ownerBytes: 80 * MIB,
};

export class HapiRpc implements Rpc {
  readonly #relay: RpcRelay;

  constructor({ memory, limits }: { memory?: MemoryCeiling; limits?: Partial<RelayLimits> } = {}) {
    this.#relay = new RpcRelay({
      name: "hapi calls",
      // Nobody waits for a method that is not there (hapi-socket 11). Who unregisters one may still answer what it was asked.
      timing: { waitMs: 0, answerMs: DEFAULT_MS, unregisteredMs: LONG_MS },
      limits: { ...LIMITS, ...limits },
      memory,
    });
  }

  /** `id` is what `method`, with its prefix, is of. False when the socket holds too many, or the name is too long. */
  register(id: string, method: string, target: RpcTarget): boolean {
    return this.#relay.register(id, method, target);
  }

  unregister(id: string, method: string, targetId: string): void {
    this.#relay.unregister(id, method, targetId);
  }

  /** The socket is gone. */
  disconnect(targetId: string): void {
    this.#relay.disconnect(targetId);
  }

  async call(id: string, name: string, params: unknown, options: RpcOptions = {}): Promise<unknown> {
    const method = `${id}:${name}`;
    const outcome = await this.#relay.call({
      owner: id,
      // No socket's: sockets have no spaces in their ids.
      caller: `hub ${id}`,
      method,
      params: paramsText(params ?? {}),
      answerMs: options.timeoutMs ?? timeoutOf(name),
      sent: options.sent,
    });
    if (!outcome.ok) {
      const Failure = outcome.code === "too-many" ? RpcBusy : RpcFailure;
      throw new Failure(SENTENCES[outcome.code](method));
    }
    return decoded(outcome.result);
  }
}

export function timeoutOf(name: string): number {
  if (name === "implement-codex-plan") return PLAN_MS;
  return LONG_METHODS.has(name) ? LONG_MS : DEFAULT_MS;
}

/** A string is JSON where it can be read as such, else itself; everything else is what it is. */
function decoded(answer: unknown): unknown {
  if (typeof answer !== "string" || isTooDeep(answer)) return answer;
  try {
    return JSON.parse(answer);
  } catch {
    return answer;
  }
}

const notRegistered = (method: string) => `RPC handler not registered: ${method}`;

const SENTENCES: Readonly<Record<RelayFailure, (method: string) => string>> = {
  "not-available": notRegistered,
  // The hub is no socket: it has registered nothing.
  "own-method": notRegistered,
  disconnected: (method) => `RPC socket disconnected: ${method}`,
  "timed-out": () => "operation has timed out",
  "params-too-large": (method) => `RPC parameters are too large: ${method}`,
  "answer-too-large": (method) => `RPC answer is too large: ${method}`,
  "too-many": (method) => `Too many RPC calls are waiting: ${method}`,
};
