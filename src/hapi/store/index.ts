// The operations of HapiStore on a SQLite database, each documented in contract.ts and written where its subject is.
import type { Database } from "../../storage/database.ts";
import { durableStore } from "../../storage/durable-store.ts";
import { admitScratchFile } from "./access.ts";
import { appendMessage } from "./append.ts";
import type { HapiStore } from "./contract.ts";
import { copyMessages, endSession, mergeSessions, moveWaitingMessages, truncateMessages } from "./history.ts";
import { answers, catchUp, countRecords, settled } from "./liveness.ts";
import { findMachine, listMachines, registerMachine } from "./machines.ts";
import { databaseFiles, deleteNamespace, listNamespaces, sessionBytes, sessionIdsOf } from "./owner.ts";
import {
  exportMessages,
  findMessage,
  firstMessages,
  messagesAfter,
  pageMessages,
  recentMessages,
} from "./pages.ts";
import { listPresent, storePresence } from "./presence.ts";
import { findKeptPush, findTold, forgetOldPushes, recordPush, setTold } from "./pushes.ts";
import {
  cancelMessage,
  consumeMessages,
  dueMessages,
  nextDueAt,
  queuedState,
  replayMessages,
  requeueMessage,
  setDeliveryState,
} from "./queue.ts";
import {
  countOld,
  deleteInactiveSession,
  deleteSomeMessages,
  deleteSomeUsage,
  newestMoment,
  nextInactiveSession,
} from "./retention.ts";
import {
  addScratch,
  changeScratch,
  deleteScratch,
  listScratch,
  listScratchAttachments,
} from "./scratchlist.ts";
import {
  deleteSession,
  findAnySession,
  findSession,
  findSessionByPrefix,
  listAgentSessions,
  listSessions,
  lookForSession,
  openSession,
  setSessionColumns,
} from "./sessions.ts";
import {
  bindUser,
  deleteDevice,
  deleteSubscription,
  findBinding,
  listBindings,
  listDevices,
  listSubscriptions,
  putDevice,
  putSubscription,
  unbindUser,
} from "./subscribers.ts";
import { scanUsage, usageSummary } from "./usage.ts";
import {
  changeAgentState,
  changeMachineMetadata,
  changeMetadata,
  changeRunnerState,
  editMachineMetadata,
  editMetadata,
} from "./values.ts";
import {
  appendWorkEvent,
  deleteExpiredWorkEvents,
  findWorkEvent,
  linkWorkEvents,
  listWorkEvents,
  listWorkLinks,
} from "./work-graph.ts";

type OnDatabase<F> = F extends (...given: infer A) => infer R
  ? (database: Database, ...given: A) => R
  : never;

const OPERATIONS: { readonly [K in keyof HapiStore]: OnDatabase<HapiStore[K]> } = {
  openSession,
  findSession,
  lookForSession,
  findAnySession,
  findSessionByPrefix,
  listSessions,
  listAgentSessions,
  changeMetadata,
  changeAgentState,
  editMetadata,
  setSessionColumns,
  deleteSession,
  mergeSessions,
  appendMessage,
  pageMessages,
  messagesAfter,
  recentMessages,
  firstMessages,
  exportMessages,
  findMessage,
  queuedState,
  consumeMessages,
  setDeliveryState,
  cancelMessage,
  requeueMessage,
  truncateMessages,
  copyMessages,
  moveWaitingMessages,
  dueMessages,
  nextDueAt,
  replayMessages,
  endSession,
  registerMachine,
  findMachine,
  listMachines,
  changeMachineMetadata,
  changeRunnerState,
  editMachineMetadata,
  storePresence,
  listPresent,
  bindUser,
  findBinding,
  listBindings,
  unbindUser,
  putSubscription,
  deleteSubscription,
  listSubscriptions,
  putDevice,
  deleteDevice,
  listDevices,
  recordPush,
  findKeptPush,
  forgetOldPushes,
  setTold,
  findTold,
  listScratch,
  addScratch,
  admitScratchFile,
  listScratchAttachments,
  changeScratch,
  deleteScratch,
  scanUsage,
  usageSummary,
  appendWorkEvent,
  findWorkEvent,
  listWorkEvents,
  linkWorkEvents,
  listWorkLinks,
  deleteExpiredWorkEvents,
  listNamespaces,
  sessionIdsOf,
  sessionBytes,
  deleteNamespace,
  databaseFiles,
  newestMoment,
  countOld,
  nextInactiveSession,
  deleteSomeMessages,
  deleteInactiveSession,
  deleteSomeUsage,
  answers,
  settled,
  countRecords,
  catchUp,
};

/** The operations on this database. None throws: what is wrong rejects. */
export function hapiStore(database: Database): HapiStore {
  const bound = Object.entries(OPERATIONS).map(([name, operation]) => [
    name,
    (operation as (database: Database, ...given: never[]) => Promise<unknown>).bind(undefined, database),
  ]);
  return durableStore(database, Object.fromEntries(bound) as HapiStore, ["answers"]);
}
