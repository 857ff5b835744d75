-- Everything the Happy protocol keeps (data contract, section 2). Integer keys join and index; public text ids are columns.
-- Times are integer Unix milliseconds. Names in snake_case.

CREATE TABLE github_users (
  id TEXT PRIMARY KEY,
  profile TEXT NOT NULL,
  token BLOB,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

CREATE TABLE accounts (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL UNIQUE,
  seq INTEGER NOT NULL DEFAULT 0,
  feed_seq INTEGER NOT NULL DEFAULT 0,
  settings TEXT,
  settings_version INTEGER NOT NULL DEFAULT 0,
  github_user_id TEXT UNIQUE REFERENCES github_users (id) ON DELETE SET NULL,
  first_name TEXT,
  last_name TEXT,
  username TEXT UNIQUE,
  avatar TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX accounts_by_username ON accounts (username COLLATE NOCASE) WHERE username IS NOT NULL;

-- A (key, challenge) pair that has signed in, as a hash, so that a captured one cannot be replayed for ever.
CREATE TABLE used_challenges (
  hash BLOB PRIMARY KEY,
  first_used_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX used_challenges_by_time ON used_challenges (first_used_at);

-- token_id and token_issued_at make the delivered token again: the token itself is not kept.
CREATE TABLE terminal_auth_requests (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL UNIQUE,
  supports_v2 INTEGER NOT NULL DEFAULT 0,
  response TEXT,
  response_account_pk INTEGER REFERENCES accounts (pk) ON DELETE SET NULL,
  token_id TEXT,
  token_issued_at INTEGER,
  first_delivered_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX terminal_auth_requests_by_time ON terminal_auth_requests (created_at);
CREATE INDEX terminal_auth_requests_by_account ON terminal_auth_requests (response_account_pk);

CREATE TABLE account_auth_requests (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL UNIQUE,
  response TEXT,
  response_account_pk INTEGER REFERENCES accounts (pk) ON DELETE SET NULL,
  token_id TEXT,
  token_issued_at INTEGER,
  first_delivered_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX account_auth_requests_by_time ON account_auth_requests (created_at);
CREATE INDEX account_auth_requests_by_account ON account_auth_requests (response_account_pk);

CREATE TABLE push_tokens (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  token TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, token)
);

CREATE TABLE sessions (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  tag TEXT NOT NULL,
  metadata TEXT NOT NULL,
  metadata_version INTEGER NOT NULL DEFAULT 0,
  agent_state TEXT,
  agent_state_version INTEGER NOT NULL DEFAULT 0,
  data_encryption_key BLOB,
  seq INTEGER NOT NULL DEFAULT 0,
  active INTEGER NOT NULL DEFAULT 1,
  last_active_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, tag)
);
CREATE INDEX sessions_by_update ON sessions (account_pk, updated_at DESC);
CREATE INDEX sessions_by_id ON sessions (account_pk, id DESC);
CREATE INDEX sessions_active ON sessions (last_active_at) WHERE active = 1;

CREATE TABLE messages (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  session_pk INTEGER NOT NULL REFERENCES sessions (pk),
  seq INTEGER NOT NULL,
  local_id TEXT,
  content TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (session_pk, seq),
  UNIQUE (session_pk, local_id)
);

CREATE TABLE machines (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  metadata TEXT NOT NULL,
  metadata_version INTEGER NOT NULL DEFAULT 0,
  daemon_state TEXT,
  daemon_state_version INTEGER NOT NULL DEFAULT 0,
  data_encryption_key BLOB,
  seq INTEGER NOT NULL DEFAULT 0,
  active INTEGER NOT NULL DEFAULT 1,
  last_active_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX machines_by_activity ON machines (account_pk, last_active_at DESC);
CREATE INDEX machines_active ON machines (last_active_at) WHERE active = 1;

CREATE TABLE access_keys (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  machine_pk INTEGER NOT NULL REFERENCES machines (pk),
  session_pk INTEGER NOT NULL REFERENCES sessions (pk),
  data TEXT NOT NULL,
  data_version INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, machine_pk, session_pk)
);
CREATE INDEX access_keys_by_session ON access_keys (session_pk);
CREATE INDEX access_keys_by_machine ON access_keys (machine_pk);

CREATE TABLE artifacts (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  header BLOB NOT NULL,
  header_version INTEGER NOT NULL DEFAULT 0,
  body BLOB NOT NULL,
  body_version INTEGER NOT NULL DEFAULT 0,
  data_encryption_key BLOB NOT NULL,
  seq INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX artifacts_by_update ON artifacts (account_pk, updated_at DESC);

CREATE TABLE kv_entries (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value BLOB,
  version INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, key)
);

-- session_pk is null for reports that belong to no session; their key is then unique by account alone.
CREATE TABLE usage_reports (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  session_pk INTEGER REFERENCES sessions (pk) ON DELETE SET NULL,
  key TEXT NOT NULL,
  data TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, session_pk, key)
);
CREATE UNIQUE INDEX usage_reports_without_session ON usage_reports (account_pk, key) WHERE session_pk IS NULL;
CREATE INDEX usage_reports_by_session ON usage_reports (session_pk);
CREATE INDEX usage_reports_by_time ON usage_reports (account_pk, created_at);

CREATE TABLE service_account_tokens (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  vendor TEXT NOT NULL,
  token BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, vendor)
);

CREATE TABLE uploaded_files (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  path TEXT NOT NULL,
  width INTEGER,
  height INTEGER,
  thumbhash TEXT,
  reuse_key TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, path)
);
CREATE INDEX uploaded_files_by_reuse_key ON uploaded_files (reuse_key) WHERE reuse_key IS NOT NULL;

CREATE TABLE relationships (
  from_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  to_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('none', 'requested', 'pending', 'friend', 'rejected')),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  accepted_at INTEGER,
  last_notified_at INTEGER,
  PRIMARY KEY (from_pk, to_pk)
) WITHOUT ROWID;
CREATE INDEX relationships_to ON relationships (to_pk, status);
CREATE INDEX relationships_from ON relationships (from_pk, status);

CREATE TABLE feed_items (
  pk INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  counter INTEGER NOT NULL,
  repeat_key TEXT,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (account_pk, counter),
  UNIQUE (account_pk, repeat_key)
);

-- Every decision about a push: what was sent, what was not and why.
CREATE TABLE push_ledger (
  pk INTEGER PRIMARY KEY,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  session_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('sent', 'partial', 'suppressed', 'no_tokens', 'failed')),
  reason TEXT,
  tokens INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX push_ledger_by_time ON push_ledger (created_at);
CREATE INDEX push_ledger_by_account ON push_ledger (account_pk, created_at DESC);

-- Expo tickets whose receipts are still to be read.
CREATE TABLE push_tickets (
  id TEXT PRIMARY KEY,
  push_token_pk INTEGER NOT NULL REFERENCES push_tokens (pk) ON DELETE CASCADE,
  ledger_pk INTEGER REFERENCES push_ledger (pk) ON DELETE SET NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX push_tickets_by_time ON push_tickets (created_at);
CREATE INDEX push_tickets_by_token ON push_tickets (push_token_pk);
CREATE INDEX push_tickets_by_ledger ON push_tickets (ledger_pk);
