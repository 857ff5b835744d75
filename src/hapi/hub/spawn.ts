// Starting sessions on machines, and what else is asked of a runner (hapi-socket 12, hapi-http-sse A9 and C3).
import type { SessionKey } from "../store/rows.ts";
import { isRemoteOnly } from "../wire/flavours.ts";
import { mustBeUpgraded } from "../wire/machine.ts";
import { isObject } from "../wire/shape.ts";
import {
  distinctPaths,
  isAgentList,
  MUST_BE_UPGRADED,
  type PathsExist,
  pathsExist,
  type Spawned,
  type SpawnRequest,
  saysWhatExists,
  spawned,
  spawnFailure,
  spawnParams,
} from "../wire/spawn.ts";
import { callCli, errorOf } from "./cli-call.ts";
import type { HubCore } from "./core.ts";
import { denial, type Result, refusal } from "./result.ts";

const NO_LISTING = { success: false, error: "Unexpected list-directory result" };

export class Spawning {
  constructor(private readonly core: HubCore) {}

  /** That it did not start is an answer too, with why. */
  async spawn(machine: SessionKey, request: SpawnRequest): Promise<Result<{ readonly spawned: Spawned }>> {
    const row = await this.core.store.findMachine(machine);
    if (typeof row === "string") return denial("machine", row);
    const { agent = "claude", startingMode } = request;
    if (isRemoteOnly(agent) && startingMode !== undefined && startingMode !== "remote") {
      return refusal("invalid", `${agent.toUpperCase()} only supports remote mode`);
    }
    if (mustBeUpgraded(row.metadata)) {
      return { ok: true, spawned: spawnFailure(MUST_BE_UPGRADED.message, MUST_BE_UPGRADED.code) };
    }
    return { ok: true, spawned: await this.ask(row.id, request) };
  }

  /** Of a machine that the caller may use. */
  async ask(machineId: string, request: SpawnRequest): Promise<Spawned> {
    const called = await callCli(this.core, machineId, "spawn-happy-session", spawnParams(request));
    return called.ok ? spawned(called.answer) : spawnFailure(called.error);
  }

  async pathsExist(machine: SessionKey, given: readonly string[]): Promise<Result<PathsExist>> {
    const row = await this.core.store.findMachine(machine);
    if (typeof row === "string") return denial("machine", row);
    const paths = distinctPaths(given);
    if (paths.length === 0) return { ok: true, exists: {} };
    const called = await callCli(this.core, row.id, "path-exists", { paths });
    if (!called.ok) return called;
    const { answer } = called;
    // What was not answered is not "it is not there": a client would offer to make it.
    if (!saysWhatExists(answer)) return refusal("cli", errorOf(answer) ?? "Unexpected path-exists result");
    return { ok: true, ...pathsExist(paths, answer) };
  }

  /** Which agents it has. A client that gets anything else lets nobody create a session, and has to say why. */
  async agents(machine: SessionKey): Promise<Result<{ readonly answer: unknown }>> {
    const row = await this.core.store.findMachine(machine);
    if (typeof row === "string") return denial("machine", row);
    if (mustBeUpgraded(row.metadata)) return refusal("upgrade-required", MUST_BE_UPGRADED.message);
    const called = await callCli(this.core, row.id, "agent-availability", {});
    if (!called.ok) return called;
    if (isAgentList(called.answer)) return called;
    return refusal("cli", errorOf(called.answer) ?? "Unexpected agent-availability result");
  }

  /** What is in a folder. That it could not be read is an answer too. */
  async directory(machine: SessionKey, params: object): Promise<Result<{ readonly answer: unknown }>> {
    const called = await this.call(machine, "list-directory", params);
    return called.ok && !isObject(called.answer) ? { ok: true, answer: NO_LISTING } : called;
  }

  /** Any other function of the runner; its answer as it is. */
  async call(
    machine: SessionKey,
    method: string,
    params: unknown,
    options?: { readonly timeoutMs?: number },
  ): Promise<Result<{ readonly answer: unknown }>> {
    const row = await this.core.store.findMachine(machine);
    if (typeof row === "string") return denial("machine", row);
    return callCli(this.core, row.id, method, params, options);
  }
}
