-- A fresh hapi.db, as version 26 of the format has it.
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  tag TEXT,
  namespace TEXT NOT NULL DEFAULT 'default',
  machine_id TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  metadata TEXT,
  metadata_version INTEGER DEFAULT 1,
  agent_state TEXT,
  agent_state_version INTEGER DEFAULT 1,
  model TEXT,
  model_reasoning_effort TEXT,
  effort TEXT,
  service_tier TEXT,
  todos TEXT,
  todos_updated_at INTEGER,
  team_state TEXT,
  team_state_updated_at INTEGER,
  pinned INTEGER NOT NULL DEFAULT 0,
  global_pinned INTEGER NOT NULL DEFAULT 0,
  active INTEGER DEFAULT 0,
  active_at INTEGER,
  seq INTEGER DEFAULT 0
);
CREATE INDEX idx_sessions_tag ON sessions(tag);
CREATE INDEX idx_sessions_tag_namespace ON sessions(tag, namespace);

CREATE TABLE machines (
  id TEXT PRIMARY KEY,
  namespace TEXT NOT NULL DEFAULT 'default',
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  metadata TEXT,
  metadata_version INTEGER DEFAULT 1,
  runner_state TEXT,
  runner_state_version INTEGER DEFAULT 1,
  active INTEGER DEFAULT 0,
  active_at INTEGER,
  seq INTEGER DEFAULT 0
);
CREATE INDEX idx_machines_namespace ON machines(namespace);

CREATE TABLE messages (
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL,
  content TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  local_id TEXT,
  invoked_at INTEGER,
  scheduled_at INTEGER,
  delivery_state TEXT NOT NULL DEFAULT 'queued',
  FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);
CREATE INDEX idx_messages_session ON messages(session_id, seq);
CREATE UNIQUE INDEX idx_messages_local_id ON messages(session_id, local_id) WHERE local_id IS NOT NULL;
CREATE INDEX idx_messages_session_position
  ON messages(session_id, COALESCE(invoked_at, created_at) DESC, seq DESC);
CREATE INDEX idx_messages_scheduled_pending
  ON messages(scheduled_at) WHERE scheduled_at IS NOT NULL AND invoked_at IS NULL;
CREATE INDEX idx_messages_immediate_queued
  ON messages(session_id, seq)
  WHERE invoked_at IS NULL AND local_id IS NOT NULL AND scheduled_at IS NULL AND delivery_state = 'queued';

CREATE TABLE message_epochs (
  session_id TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL DEFAULT 0,
  FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);

CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  platform TEXT NOT NULL,
  platform_user_id TEXT NOT NULL,
  namespace TEXT NOT NULL DEFAULT 'default',
  created_at INTEGER NOT NULL,
  UNIQUE(platform, platform_user_id)
);
CREATE INDEX idx_users_platform ON users(platform);
CREATE INDEX idx_users_platform_namespace ON users(platform, namespace);

CREATE TABLE push_subscriptions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  p256dh TEXT NOT NULL,
  auth TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE(namespace, endpoint)
);
CREATE INDEX idx_push_subscriptions_namespace ON push_subscriptions(namespace);

CREATE TABLE fcm_devices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace TEXT NOT NULL,
  token TEXT NOT NULL,
  platform TEXT NOT NULL,
  device_id TEXT NOT NULL,
  push_key TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE(namespace, device_id, platform)
);
CREATE INDEX idx_fcm_devices_namespace ON fcm_devices(namespace);
CREATE INDEX idx_fcm_devices_token ON fcm_devices(token);

CREATE TABLE session_scratchlist (
  session_id TEXT NOT NULL,
  entry_id TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  attachments TEXT DEFAULT NULL,
  PRIMARY KEY (session_id, entry_id),
  FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);
CREATE INDEX idx_session_scratchlist_session_created ON session_scratchlist(session_id, created_at DESC);

CREATE TABLE usage_events (
  session_id TEXT NOT NULL,
  source_key TEXT NOT NULL,
  source_seq INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  agent TEXT NOT NULL,
  model TEXT,
  kind TEXT NOT NULL CHECK (kind IN ('delta', 'cumulative')),
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  cache_read_tokens INTEGER NOT NULL DEFAULT 0,
  cache_creation_tokens INTEGER NOT NULL DEFAULT 0,
  last_input_tokens INTEGER,
  last_output_tokens INTEGER,
  last_cache_read_tokens INTEGER,
  last_cache_creation_tokens INTEGER,
  PRIMARY KEY (session_id, source_key),
  FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);
CREATE INDEX idx_usage_events_session_created ON usage_events(session_id, created_at, source_seq);
CREATE INDEX idx_usage_events_created ON usage_events(created_at);

CREATE TABLE usage_scan_state (
  session_id TEXT PRIMARY KEY,
  message_epoch INTEGER NOT NULL DEFAULT 0,
  last_seq INTEGER NOT NULL DEFAULT 0,
  FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE
);

CREATE TABLE events (
  id TEXT PRIMARY KEY,
  ts INTEGER NOT NULL,
  source_kind TEXT NOT NULL,
  source_ref TEXT NOT NULL,
  sink_kind TEXT,
  sink_ref TEXT,
  event_type TEXT NOT NULL,
  summary TEXT,
  payload_json TEXT,
  artifact_refs TEXT NOT NULL DEFAULT '[]',
  tags TEXT NOT NULL DEFAULT '[]',
  related_session_id TEXT,
  related_event_id TEXT,
  provenance TEXT,
  idempotency_key TEXT,
  dedupe_key TEXT,
  confidence REAL,
  severity TEXT,
  expires_at INTEGER,
  namespace TEXT NOT NULL,
  principal_json TEXT NOT NULL
);
CREATE INDEX idx_events_namespace_ts ON events(namespace, ts DESC);
CREATE INDEX idx_events_namespace_related_session ON events(namespace, related_session_id, ts DESC);
CREATE INDEX idx_events_namespace_expires ON events(namespace, expires_at);
CREATE UNIQUE INDEX idx_events_namespace_idempotency
  ON events(namespace, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE event_links (
  id TEXT PRIMARY KEY,
  from_event_id TEXT NOT NULL,
  to_event_id TEXT NOT NULL,
  relation_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  metadata_json TEXT,
  namespace TEXT NOT NULL,
  FOREIGN KEY (from_event_id) REFERENCES events(id) ON DELETE CASCADE,
  FOREIGN KEY (to_event_id) REFERENCES events(id) ON DELETE CASCADE
);
CREATE INDEX idx_event_links_namespace_from ON event_links(namespace, from_event_id);
CREATE INDEX idx_event_links_namespace_to ON event_links(namespace, to_event_id);
