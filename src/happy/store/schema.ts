// The tables of migrations/happy, as drizzle reads them. A test holds both to the same columns.
import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

const pk = () => integer("pk").primaryKey();
const id = () => text("id").notNull();
const at = (name: string) => integer(name).notNull();
const times = () => ({ createdAt: at("created_at"), updatedAt: at("updated_at") });
const owner = () => integer("account_pk").notNull();
/** bun:sqlite gives and takes Uint8Array; drizzle calls that a buffer. */
const bytes = (name: string) => blob(name, { mode: "buffer" }).$type<Uint8Array>();

export const githubUsers = sqliteTable("github_users", {
  id: text("id").primaryKey(),
  profile: text("profile").notNull(),
  token: bytes("token"),
  ...times(),
});

export const accounts = sqliteTable("accounts", {
  pk: pk(),
  id: id(),
  publicKey: text("public_key").notNull(),
  seq: integer("seq").notNull().default(0),
  feedSeq: integer("feed_seq").notNull().default(0),
  settings: text("settings"),
  settingsVersion: integer("settings_version").notNull().default(0),
  githubUserId: text("github_user_id"),
  firstName: text("first_name"),
  lastName: text("last_name"),
  username: text("username"),
  avatar: text("avatar"),
  ...times(),
  isOwner: integer("is_owner", { mode: "boolean" }).notNull().default(false),
  disabledAt: integer("disabled_at"),
  /** Unix seconds; when all tokens were revoked last. */
  tokensValidFrom: integer("tokens_valid_from"),
  /** Of the tokens that count; older ones are refused. */
  tokensGeneration: integer("tokens_generation").notNull().default(0),
});

export const usedChallenges = sqliteTable("used_challenges", {
  hash: bytes("hash").primaryKey(),
  firstUsedAt: at("first_used_at"),
});

const pairing = () => ({
  pk: pk(),
  id: id(),
  publicKey: text("public_key").notNull(),
  response: text("response"),
  responseAccountPk: integer("response_account_pk"),
  tokenId: text("token_id"),
  tokenIssuedAt: integer("token_issued_at"),
  firstDeliveredAt: integer("first_delivered_at"),
  ...times(),
});
export const terminalAuthRequests = sqliteTable("terminal_auth_requests", {
  ...pairing(),
  supportsV2: integer("supports_v2", { mode: "boolean" }).notNull().default(false),
});
export const accountAuthRequests = sqliteTable("account_auth_requests", pairing());

export const pushTokens = sqliteTable("push_tokens", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  token: text("token").notNull(),
  ...times(),
});

export const sessions = sqliteTable("sessions", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  tag: text("tag").notNull(),
  metadata: text("metadata").notNull(),
  metadataVersion: integer("metadata_version").notNull().default(0),
  agentState: text("agent_state"),
  agentStateVersion: integer("agent_state_version").notNull().default(0),
  dataEncryptionKey: bytes("data_encryption_key"),
  seq: integer("seq").notNull().default(0),
  active: integer("active", { mode: "boolean" }).notNull().default(true),
  lastActiveAt: at("last_active_at"),
  ...times(),
  /** Set while a person's archive holds: its place among all archives and connections. */
  archivedSeq: integer("archived_seq"),
});

export const messages = sqliteTable("messages", {
  pk: pk(),
  id: id(),
  sessionPk: integer("session_pk").notNull(),
  seq: integer("seq").notNull(),
  localId: text("local_id"),
  content: text("content").notNull(),
  ...times(),
});

export const refusedMessages = sqliteTable("refused_messages", {
  sessionPk: integer("session_pk").primaryKey(),
  count: integer("count").notNull(),
  largestBytes: integer("largest_bytes").notNull(),
  lastAt: at("last_at"),
});

export const machines = sqliteTable("machines", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  metadata: text("metadata").notNull(),
  metadataVersion: integer("metadata_version").notNull().default(0),
  daemonState: text("daemon_state"),
  daemonStateVersion: integer("daemon_state_version").notNull().default(0),
  dataEncryptionKey: bytes("data_encryption_key"),
  seq: integer("seq").notNull().default(0),
  active: integer("active", { mode: "boolean" }).notNull().default(true),
  lastActiveAt: at("last_active_at"),
  ...times(),
});

export const accessKeys = sqliteTable("access_keys", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  machinePk: integer("machine_pk").notNull(),
  sessionPk: integer("session_pk").notNull(),
  data: text("data").notNull(),
  dataVersion: integer("data_version").notNull().default(0),
  ...times(),
});

export const artifacts = sqliteTable("artifacts", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  header: bytes("header").notNull(),
  headerVersion: integer("header_version").notNull().default(0),
  body: bytes("body").notNull(),
  bodyVersion: integer("body_version").notNull().default(0),
  dataEncryptionKey: bytes("data_encryption_key").notNull(),
  seq: integer("seq").notNull().default(0),
  ...times(),
});

export const kvEntries = sqliteTable("kv_entries", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  key: text("key").notNull(),
  value: bytes("value"),
  version: integer("version").notNull().default(0),
  ...times(),
});

export const usageReports = sqliteTable("usage_reports", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  sessionPk: integer("session_pk"),
  key: text("key").notNull(),
  data: text("data").notNull(),
  ...times(),
});

export const serviceAccountTokens = sqliteTable("service_account_tokens", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  vendor: text("vendor").notNull(),
  token: bytes("token").notNull(),
  ...times(),
});

export const uploadedFiles = sqliteTable("uploaded_files", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  path: text("path").notNull(),
  width: integer("width"),
  height: integer("height"),
  thumbhash: text("thumbhash"),
  reuseKey: text("reuse_key"),
  ...times(),
});

export const RELATIONSHIP_STATUSES = ["none", "requested", "pending", "friend", "rejected"] as const;

export const relationships = sqliteTable("relationships", {
  fromPk: integer("from_pk").notNull(),
  toPk: integer("to_pk").notNull(),
  status: text("status", { enum: RELATIONSHIP_STATUSES }).notNull().default("pending"),
  ...times(),
  acceptedAt: integer("accepted_at"),
  lastNotifiedAt: integer("last_notified_at"),
});

export const feedItems = sqliteTable("feed_items", {
  pk: pk(),
  id: id(),
  accountPk: owner(),
  counter: integer("counter").notNull(),
  repeatKey: text("repeat_key"),
  body: text("body").notNull(),
  ...times(),
});

export const PUSH_OUTCOMES = ["sent", "partial", "suppressed", "no_tokens", "failed"] as const;

export const pushLedger = sqliteTable("push_ledger", {
  pk: pk(),
  accountPk: owner(),
  sessionId: text("session_id").notNull(),
  kind: text("kind").notNull(),
  outcome: text("outcome", { enum: PUSH_OUTCOMES }).notNull(),
  reason: text("reason"),
  tokens: integer("tokens").notNull(),
  delivered: integer("delivered").notNull(),
  durationMs: integer("duration_ms").notNull(),
  createdAt: at("created_at"),
  /** Of what was pushed; null for pushes of an older version. */
  eventKey: text("event_key"),
});

export const pushTickets = sqliteTable("push_tickets", {
  id: text("id").primaryKey(),
  pushTokenPk: integer("push_token_pk").notNull(),
  ledgerPk: integer("ledger_pk"),
  createdAt: at("created_at"),
  /** How often its receipt was asked for. */
  asked: integer("asked").notNull().default(0),
  /** The device registered again after the push. */
  isBack: integer("is_back", { mode: "boolean" }).notNull().default(false),
});

export const waitingKeys = sqliteTable("waiting_keys", {
  publicKey: text("public_key").primaryKey(),
  fingerprint: text("fingerprint").notNull(),
  client: text("client").notNull(),
  firstSeenAt: at("first_seen_at"),
  lastSeenAt: at("last_seen_at"),
  network: text("network").notNull().default(""),
});

export const refusedKeys = sqliteTable("refused_keys", {
  publicKey: text("public_key").primaryKey(),
  fingerprint: text("fingerprint").notNull(),
  client: text("client").notNull(),
  refusedAt: at("refused_at"),
  firstSeenAt: at("first_seen_at"),
  lastSeenAt: at("last_seen_at"),
});

export const invites = sqliteTable("invites", {
  codeHash: bytes("code_hash").primaryKey(),
  usesLeft: integer("uses_left").notNull(),
  expiresAt: at("expires_at"),
  createdAt: at("created_at"),
});

export const revokedTokens = sqliteTable("revoked_tokens", {
  tokenId: text("token_id").primaryKey(),
  accountPk: owner(),
  revokedAt: at("revoked_at"),
});

export const removedAccounts = sqliteTable("removed_accounts", {
  id: text("id").primaryKey(),
  removedAt: at("removed_at"),
});

export const seenTokens = sqliteTable("seen_tokens", {
  accountPk: owner(),
  tokenId: text("token_id").notNull(),
  label: text("label").notNull(),
  /** Unix seconds. */
  issuedAt: integer("issued_at").notNull(),
  firstSeenAt: at("first_seen_at"),
  lastSeenAt: at("last_seen_at"),
  generation: integer("generation").notNull().default(0),
});

/** What each account keeps here; triggers of migration 0003 keep it true. */
export const accountSizes = sqliteTable("account_sizes", {
  accountPk: integer("account_pk").primaryKey(),
  /** Contents, and a floor for each row. */
  bytes: integer("bytes").notNull().default(0),
  machines: integer("machines").notNull().default(0),
  accessKeys: integer("access_keys").notNull().default(0),
});

/** Files of a session, beside the database. */
export const attachmentSizes = sqliteTable("attachment_sizes", {
  sessionPk: integer("session_pk").primaryKey(),
  accountPk: owner(),
  files: integer("files").notNull().default(0),
  bytes: integer("bytes").notNull().default(0),
});
