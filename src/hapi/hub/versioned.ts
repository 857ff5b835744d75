// The four values that a CLI writes by compare-and-swap (hapi-socket 9). The acknowledgement leaves before the others are told, both of
// them after the commit and in commit order. Every path acknowledges: a CLI waits for ever otherwise, and that session stands still.
import type {
  Access,
  Announce,
  ChangedValue,
  Denied,
  MachineRow,
  SessionRow,
  ValueChange,
} from "../store/rows.ts";
import { mergeMetadata } from "../wire/metadata.ts";
import { isObject } from "../wire/shape.ts";
import { machineUpdate, sessionUpdate } from "../wire/update.ts";
import type { HubCore } from "./core.ts";
import { PREFERRED } from "./live-sessions.ts";
import type { MachinePresenceKeeper } from "./machine-presence.ts";
import type { Merging } from "./merging.ts";

export type VersionedAck =
  | { readonly result: "error"; readonly reason?: Denied }
  | ({ readonly result: "success" | "version-mismatch"; readonly version: number } & Readonly<
      Record<string, unknown>
    >);

export interface ValueWrite {
  readonly namespace: string;
  readonly id: string;
  readonly expectedVersion: number;
  readonly value: unknown;
  /** The socket that writes: it is not told of its own change, and its writes keep their order. */
  readonly socket: object;
  readonly acknowledge: (ack: VersionedAck) => void;
}

export class VersionedValues {
  constructor(
    private readonly core: HubCore,
    private readonly machines: MachinePresenceKeeper,
    private readonly merging: Merging,
  ) {}

  async metadata(write: ValueWrite): Promise<void> {
    const { core } = this;
    const change = { ...changeOf(write), merge: mergeMetadata };
    const again: Retry<SessionRow> = (result) => {
      const live = core.sessions.get(write.id);
      if (live?.isOwnGap(write.expectedVersion, result.version) !== true) return undefined;
      return { ...change, expectedVersion: result.version, merge: overOwnKeys };
    };
    const tell = this.#announceSession(write, "metadata");
    const announce = (success: Success<SessionRow>) => {
      tell(success);
      const live = core.sessions.get(write.id);
      if (live === undefined) this.merging.rests(success.row);
      else this.merging.heard(live);
    };
    await settle(write, "metadata", announce, again, (each, told) =>
      core.store.changeMetadata(each ?? change, told, write.socket),
    );
  }

  async agentState(write: ValueWrite): Promise<void> {
    const announce = this.#announceSession(write, "agentState");
    await settle(write, "agentState", announce, NEVER, (_, told) =>
      this.core.store.changeAgentState(changeOf(write), told, write.socket),
    );
  }

  async machineMetadata(write: ValueWrite): Promise<void> {
    const announce = this.#announceMachine(write, "metadata");
    await settle(write, "metadata", announce, NEVER, (_, told) =>
      this.core.store.changeMachineMetadata(changeOf(write), told, write.socket),
    );
  }

  async runnerState(write: ValueWrite): Promise<void> {
    const announce = this.#announceMachine(write, "runnerState");
    await settle(write, "runnerState", announce, NEVER, (_, told) =>
      this.core.store.changeRunnerState(changeOf(write), told, write.socket),
    );
  }

  #announceSession({ id, socket }: ValueWrite, part: "metadata" | "agentState") {
    const { core } = this;
    return ({ version, value, row }: Success<SessionRow>): void => {
      const versioned = { version, value };
      core.sessions.note(row);
      core.rooms.update({ session: id }, sessionUpdate(id, part, versioned, core.now()), socket);
      // A value that clients would not understand is none to them: they hear so, and never the value itself.
      if (value !== null && core.sessionView(row)[part] === null) core.tellSession(row);
      else core.tellPatch(row, { [part]: versioned, updatedAt: row.updatedAt });
    };
  }

  #announceMachine({ id, socket }: ValueWrite, part: "metadata" | "runnerState") {
    const { core } = this;
    return ({ version, value, row }: Success<MachineRow>): void => {
      // Only a runner that is there says what it does.
      if (part === "runnerState") this.machines.wrote(row);
      core.rooms.update({ machine: id }, machineUpdate(id, part, { version, value }, core.now()), socket);
      core.tellMachine(row);
    };
  }
}

type Success<Row> = Extract<ChangedValue<Row>, { kind: "success" }>;
type Mismatch = Extract<ChangedValue<never>, { kind: "version-mismatch" }>;
type Retry<_Row> = (mismatch: Mismatch) => ValueChange | undefined;
const NEVER = () => undefined;

const changeOf = ({ namespace, id, expectedVersion, value }: ValueWrite): ValueChange => ({
  key: { namespace, id },
  expectedVersion,
  value,
});

/** What the hub wrote meanwhile, of which the CLI does not know, is kept. */
function overOwnKeys(stored: unknown, given: unknown): unknown {
  const merged = mergeMetadata(stored, given);
  if (!isObject(merged) || !isObject(stored)) return merged;
  const kept: Record<string, unknown> = { ...merged };
  for (const key of Object.values(PREFERRED)) {
    if (!Object.hasOwn(kept, key) && Object.hasOwn(stored, key)) kept[key] = stored[key];
  }
  return kept;
}

/** Runs the change, once more if only the hub's own keys lie between. Of a run that rejects nothing was announced: one answer each. */
async function settle<Row>(
  { acknowledge: answer }: ValueWrite,
  part: string,
  announce: (success: Success<Row>) => void,
  again: Retry<Row>,
  run: (
    change: ValueChange | undefined,
    told: Announce<Access<ChangedValue<Row>>>,
  ) => Promise<Access<ChangedValue<Row>>>,
): Promise<void> {
  let next: ValueChange | undefined;
  const told = (mayRetry: boolean) => (result: Access<ChangedValue<Row>>) => {
    if (typeof result === "string") answer({ result: "error", reason: result });
    else if (result.kind === "success") {
      answer({ result: "success", version: result.version, [part]: result.value });
      announce(result);
    } else {
      next = mayRetry ? again(result) : undefined;
      if (next === undefined) {
        answer({ result: "version-mismatch", version: result.version, [part]: result.value });
      }
    }
  };
  try {
    await run(undefined, told(true));
    if (next !== undefined) await run(next, told(false));
  } catch (error) {
    answer({ result: "error" });
    throw error;
  }
}
