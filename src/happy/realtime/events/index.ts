// Every event that a Happy client may send. Unknown events are ignored in silence (realtime contract 6).
import type { SocketEvent } from "../connection.ts";
import { accessKeyGet } from "./access-keys.ts";
import { machineAlive, sessionAlive, sessionEnd } from "./alive.ts";
import { appState } from "./app-state.ts";
import { artifactCreate, artifactDelete, artifactRead, artifactUpdate } from "./artifacts.ts";
import { machineUpdateMetadata, machineUpdateState } from "./machine-state.ts";
import { message } from "./message.ts";
import { ping } from "./ping.ts";
import { rpcCall, rpcRegister, rpcUnregister } from "./rpc.ts";
import { updateMetadata, updateState } from "./session-state.ts";
import { usageReport } from "./usage.ts";

export const socketEvents: readonly SocketEvent[] = [
  ping,
  message,
  updateMetadata,
  updateState,
  sessionAlive,
  sessionEnd,
  machineAlive,
  machineUpdateMetadata,
  machineUpdateState,
  artifactRead,
  artifactCreate,
  artifactUpdate,
  artifactDelete,
  accessKeyGet,
  usageReport,
  appState,
  rpcRegister,
  rpcUnregister,
  rpcCall,
];
