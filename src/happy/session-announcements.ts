// How changes of sessions and machines are announced, whichever way they came in: socket and HTTP say the same.
import { interestedInSession, machineAndUser } from "./audience.ts";
import type { HappyContext } from "./context.ts";
import type { MachineChange, MachineChangeResult } from "./store/machines.ts";
import type { SessionChange, SessionChangeResult } from "./store/session-state.ts";
import { machineDaemonState, machineMetadata, sessionAgentState, sessionMetadata } from "./wire/updates.ts";

type Voice = Pick<HappyContext, "publisher" | "presence">;

/** One `update-session` for each part that was written. */
export function announceSessionChange(
  { publisher, presence }: Voice,
  account: string,
  session: string,
  change: SessionChange,
) {
  return (result: SessionChangeResult): void => {
    if (result.kind !== "changed") return;
    const audience = interestedInSession(account, session);
    const { metadata, agentState, joinedSeq } = change;
    if (metadata !== undefined && joinedSeq !== undefined) presence.resumed(account, session, joinedSeq);
    if (metadata !== undefined && result.metadataSeq !== undefined) {
      publisher.update(
        audience,
        result.metadataSeq,
        sessionMetadata(session, metadata.value, metadata.expectedVersion + 1),
      );
    }
    if (agentState !== undefined && result.agentStateSeq !== undefined) {
      publisher.update(
        audience,
        result.agentStateSeq,
        sessionAgentState(session, agentState.value, agentState.expectedVersion + 1),
      );
    }
  };
}

/** One `update-machine` for each part that was written. */
export function announceMachineChange(
  { publisher, presence }: Voice,
  account: string,
  machine: string,
  change: MachineChange,
) {
  return (result: MachineChangeResult): void => {
    if (result.kind !== "changed") return;
    const audience = machineAndUser(account, machine);
    const { metadata, daemonState } = change;
    if (metadata !== undefined && result.metadataSeq !== undefined) {
      publisher.update(
        audience,
        result.metadataSeq,
        machineMetadata(machine, metadata.value, metadata.expectedVersion + 1),
      );
    }
    if (daemonState !== undefined) presence.madeActive("machine", account, machine);
    if (daemonState !== undefined && result.daemonStateSeq !== undefined) {
      publisher.update(
        audience,
        result.daemonStateSeq,
        machineDaemonState(machine, daemonState.value, daemonState.expectedVersion + 1),
      );
    }
  };
}
