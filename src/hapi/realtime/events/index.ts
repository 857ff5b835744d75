// Every event that a CLI may send (hapi-socket 6 and 18). What is not here is ignored: `usage-report` and `agent-terminal:reset` among it,
// which change nothing on the released hub either.
import type { CliEvent } from "../connection.ts";
import { agyModelsChanged, machineAlive } from "./machine.ts";
import { message, ping } from "./message.ts";
import { rpcRegister, rpcUnregister } from "./rpc.ts";
import {
  messagesConsumed,
  messagesIndeterminate,
  messagesSteerState,
  nativeQueueMessage,
  sessionAlive,
  sessionEnd,
  sessionReady,
} from "./session.ts";
import { valueChanges } from "./state.ts";
import { terminalEvents } from "./terminal.ts";

export const cliEvents: ReadonlyMap<string, CliEvent> = new Map(
  [
    message,
    ping,
    sessionAlive,
    sessionEnd,
    sessionReady,
    messagesConsumed,
    messagesIndeterminate,
    messagesSteerState,
    nativeQueueMessage,
    ...valueChanges,
    machineAlive,
    agyModelsChanged,
    rpcRegister,
    rpcUnregister,
    ...terminalEvents,
  ].map((event) => [event.event, event]),
);
