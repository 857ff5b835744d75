// What the Happy protocol asks of its database. Each operation is atomic, has a name from the domain and answers with a promise; no
// statement and no handle leaves this folder. So another database is another implementation of `HappyStore`, under the same tests.
//
// The body of an operation runs synchronously within the turn's transaction, so nothing interleaves; what it announces runs in commit
// order, before anybody is told that it is done (storage/writer.ts). A read shows what is committed when it is asked for, and is told when
// that is durable (storage/durable-store.ts): two reads are two moments, and what must be seen together is one operation.
import type { Database } from "../../storage/database.ts";
import { durableStore } from "../../storage/durable-store.ts";
import { changeAccessKey, createAccessKey, findAccessKey, listAccessKeys } from "./access-keys.ts";
import { deleteAccount } from "./account-deletion.ts";
import {
  listAccountKeys,
  listAccountRows,
  ownBytes,
  sessionBytes,
  sessionIdsOf,
} from "./account-overview.ts";
import { loadAccount, loadProfile } from "./account-profile.ts";
import { changeAccount, loadSettings } from "./account-settings.ts";
import { requireAccount } from "./accounts.ts";
import { approveKey } from "./admission.ts";
import {
  changeArtifact,
  createArtifact,
  deleteArtifact,
  findArtifact,
  findLightArtifact,
  listArtifacts,
} from "./artifacts.ts";
import { admitAttachment, admitUpload, countAttachments, recountAttachments } from "./attachment-sizes.ts";
import { signIn } from "./challenges.ts";
import { pageFeed } from "./feed.ts";
import { connectedGithub, connectGithub, disconnectGithub, recordAvatar, storedAvatar } from "./github.ts";
import { createInvite, settleInvites } from "./invites.ts";
import { deleteKv, findKv, findManyKv, kvConflicts, listKv, mutateKv } from "./kv.ts";
import { answers, countRecords, settled } from "./liveness.ts";
import { changeMachine, deleteMachine, findLightMachine, listMachines, registerMachine } from "./machines.ts";
import { appendMessages, pageMessages } from "./messages.ts";
import { continueIds } from "./newest-id.ts";
import {
  approvePairing,
  expirePairings,
  pairingStatus,
  pollPairing,
  settlePairings,
  takeOverPairings,
} from "./pairing.ts";
import {
  findPresence,
  listActive,
  newestArchive,
  storeEnd,
  storeHeartbeats,
  storeLost,
  storeSilence,
} from "./presence.ts";
import {
  deletePushToken,
  findDueTickets,
  findKeptPush,
  findPushTokens,
  forgetOldPushes,
  recordPush,
  registerPushToken,
  settleTickets,
} from "./push.ts";
import {
  countOld,
  deleteInactiveSession,
  deleteSomeFeed,
  deleteSomeMessages,
  deleteSomeUsage,
  newestMoment,
  nextInactiveSession,
  sessionOwner,
} from "./retention.ts";
import { loadRefusals, revokeAllTokens, revokeToken, setDisabled } from "./revocations.ts";
import { changeSession } from "./session-state.ts";
import {
  deleteSession,
  findLightSession,
  listActiveSessions,
  listSessions,
  openSession,
  ownsSession,
  pageSessions,
} from "./sessions.ts";
import { addFriend, removeFriend } from "./social.ts";
import { listSeenTokens, storeTokenUses } from "./token-uses.ts";
import { saveUsageReport } from "./usage.ts";
import { usageReportBatches } from "./usage-read.ts";
import { findUser, listFriends, searchUsers } from "./users.ts";
import { deleteVendorToken, findVendorToken, listVendorTokens, putVendorToken } from "./vendor-tokens.ts";
import { listWaiting, refuseKey } from "./waiting-keys.ts";

/** Each is documented where it is defined. */
const OPERATIONS = {
  // Who may come in, and what shuts out.
  signIn,
  approveKey,
  refuseKey,
  listWaiting,
  createInvite,
  settleInvites,
  pollPairing,
  pairingStatus,
  approvePairing,
  takeOverPairings,
  settlePairings,
  expirePairings,
  storeTokenUses,
  listSeenTokens,
  loadRefusals,
  setDisabled,
  revokeToken,
  revokeAllTokens,
  // Accounts.
  requireAccount,
  loadAccount,
  loadProfile,
  loadSettings,
  changeAccount,
  deleteAccount,
  listAccountRows,
  listAccountKeys,
  ownBytes,
  sessionBytes,
  sessionIdsOf,
  connectedGithub,
  connectGithub,
  disconnectGithub,
  storedAvatar,
  recordAvatar,
  putVendorToken,
  findVendorToken,
  listVendorTokens,
  deleteVendorToken,
  findUser,
  searchUsers,
  listFriends,
  addFriend,
  removeFriend,
  pageFeed,
  // Sessions and what belongs to them.
  openSession,
  changeSession,
  deleteSession,
  ownsSession,
  findLightSession,
  listSessions,
  listActiveSessions,
  pageSessions,
  appendMessages,
  pageMessages,
  saveUsageReport,
  usageReportBatches,
  admitUpload,
  admitAttachment,
  countAttachments,
  recountAttachments,
  // Machines, access keys, artifacts, key-value entries.
  registerMachine,
  changeMachine,
  deleteMachine,
  findLightMachine,
  listMachines,
  createAccessKey,
  changeAccessKey,
  findAccessKey,
  listAccessKeys,
  createArtifact,
  changeArtifact,
  deleteArtifact,
  findArtifact,
  findLightArtifact,
  listArtifacts,
  findKv,
  findManyKv,
  listKv,
  kvConflicts,
  mutateKv,
  deleteKv,
  // Presence.
  findPresence,
  listActive,
  newestArchive,
  storeHeartbeats,
  storeEnd,
  storeLost,
  storeSilence,
  // Push notifications.
  registerPushToken,
  deletePushToken,
  findPushTokens,
  recordPush,
  findKeptPush,
  findDueTickets,
  settleTickets,
  forgetOldPushes,
  // What is older than is kept.
  newestMoment,
  countOld,
  nextInactiveSession,
  sessionOwner,
  deleteSomeMessages,
  deleteInactiveSession,
  deleteSomeUsage,
  deleteSomeFeed,
  // The database itself.
  answers,
  settled,
  countRecords,
  continueIds,
};

type Operations = typeof OPERATIONS;

/** The operation without its database. */
type Bound<F> = F extends (database: Database, ...given: infer A) => infer R ? (...given: A) => R : never;

export type HappyStore = { readonly [K in keyof Operations]: Bound<Operations[K]> };

/** The operations on this database. None throws: what is wrong rejects. */
export function happyStore(database: Database): HappyStore {
  const bound = Object.entries(OPERATIONS).map(([name, operation]) => [
    name,
    (operation as (database: Database, ...given: never[]) => Promise<unknown>).bind(undefined, database),
  ]);
  return durableStore(database, Object.fromEntries(bound) as HappyStore, ["answers"]);
}
