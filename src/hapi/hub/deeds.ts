// The hub as sockets see it: the same deeds, with their words for who is asked for and who asks.
import type { HubDeeds, Presence, Sender, ValueAnswer, ValueWish } from "../realtime/deeds.ts";
import type { Denied, SessionKey } from "../store/rows.ts";
import type { Hub } from "./hub.ts";
import type { ValueWrite } from "./versioned.ts";

const presence = (result: "ok" | Denied): Presence => (result === "ok" ? undefined : result);
const keyOf = ({ namespace }: Sender, id: string): SessionKey => ({ namespace, id });
const writeOf = (
  { namespace, socket }: Sender,
  wish: ValueWish,
  acknowledge: (answer: ValueAnswer) => void,
): ValueWrite => ({ namespace, socket, ...wish, acknowledge });

export function hubDeeds(hub: Hub): HubDeeds {
  const { core, values, queue } = hub;
  return {
    sessionAbsence: async (namespace, id) => {
      const row = await core.store.findSession({ namespace, id });
      return typeof row === "string" ? row : undefined;
    },
    machineAbsence: async (namespace, id) => {
      const row = await core.store.findMachine({ namespace, id });
      return typeof row === "string" ? row : undefined;
    },
    isSessionActive: (namespace, id) => {
      const live = core.sessions.get(id);
      return live?.namespace === namespace && live.presence.active;
    },

    message: async ({ namespace, socket }, message) =>
      presence(await hub.messages.fromCli({ namespace, ...message }, socket)),
    sessionAlive: async (from, alive) => {
      const heard = await hub.sessionPresence.alive({ namespace: from.namespace, ...alive });
      // What waits is told with the first keep-alive: then the CLI listens.
      if (heard === "ok") await queue.replayOnce(keyOf(from, alive.sid), from.socket);
      return presence(heard);
    },
    sessionEnd: async (from, { sid, time, reason }) =>
      presence(await hub.lifecycle.end({ session: keyOf(from, sid), time, reason })),
    sessionReady: async (from, { sid }) => {
      const row = await core.store.findSession(keyOf(from, sid));
      return typeof row === "string" ? row : undefined;
    },
    updateMetadata: (from, wish, answer) => values.metadata(writeOf(from, wish, answer)),
    updateAgentState: (from, wish, answer) => values.agentState(writeOf(from, wish, answer)),

    machineAlive: async ({ namespace }, alive) =>
      presence(await hub.machinePresence.alive({ namespace, ...alive })),
    updateMachineMetadata: (from, wish, answer) => values.machineMetadata(writeOf(from, wish, answer)),
    updateRunnerState: (from, wish, answer) => values.runnerState(writeOf(from, wish, answer)),
    agyModelsChanged: async (from, machineId) => {
      const row = await core.store.findMachine(keyOf(from, machineId));
      if (typeof row === "string") return row;
      core.events.broadcast({ type: "machine-agy-models-updated", namespace: from.namespace, machineId });
      return undefined;
    },

    messagesConsumed: async (from, { sid, localIds, clearQueuedThinkingGrace, steered }) => {
      const session = keyOf(from, sid);
      const clearsHold = clearQueuedThinkingGrace;
      return presence(await queue.consumed({ session, localIds, clearsHold, steered }, from.socket));
    },
    messagesIndeterminate: async (from, { sid, localIds }) =>
      presence(await queue.indeterminate(keyOf(from, sid), localIds, from.socket)),
    messagesSteerState: (from, { sid, localIds, state }) =>
      queue.steerState(keyOf(from, sid), localIds, state, from.socket),
    nativeQueueMessage: async (from, { sid, localId, text }) =>
      presence(await queue.native(keyOf(from, sid), localId, text, from.socket)),
  };
}
