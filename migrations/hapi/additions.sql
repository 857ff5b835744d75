-- What we add to hapi.db (hapi-data 7.3): tables and indexes of our own prefix, which every hub of the format keeps and leaves alone.

-- What the list, keep-alives and bounds must know of a session without touching its messages. Counted once for each session, then kept
-- up to date by our writes; counted anew when another hub wrote meanwhile.
CREATE TABLE IF NOT EXISTS roost_sessions (
  session_id TEXT PRIMARY KEY REFERENCES sessions(id) ON DELETE CASCADE,
  messages INTEGER NOT NULL DEFAULT 0,
  -- The highest seq that was ever given out: one that was cancelled is not given out again.
  last_seq INTEGER NOT NULL DEFAULT 0,
  -- Of contents as they are stored, with a floor for each row.
  bytes INTEGER NOT NULL DEFAULT 0,
  -- NULL: not known yet.
  has_content INTEGER,
  -- Presence as of its last transition; active_at NULL: never stored.
  active INTEGER NOT NULL DEFAULT 0,
  active_at INTEGER,
  thinking INTEGER NOT NULL DEFAULT 0,
  thinking_at INTEGER NOT NULL DEFAULT 0,
  turn_started_at INTEGER,
  background_tasks INTEGER NOT NULL DEFAULT 0,
  permission_mode TEXT,
  collaboration_mode TEXT,
  copilot_mode TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS roost_sessions_active ON roost_sessions(session_id) WHERE active = 1;

CREATE TABLE IF NOT EXISTS roost_machines (
  machine_id TEXT PRIMARY KEY REFERENCES machines(id) ON DELETE CASCADE,
  active INTEGER NOT NULL,
  active_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The row of each reasoning that still goes on.
CREATE TABLE IF NOT EXISTS roost_live (
  session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
  live_id TEXT NOT NULL,
  message_id TEXT NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
  PRIMARY KEY (session_id, live_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS roost_live_message ON roost_live(message_id);

CREATE INDEX IF NOT EXISTS roost_sessions_namespace ON sessions(namespace, updated_at DESC);
CREATE INDEX IF NOT EXISTS roost_messages_waiting
  ON messages(session_id, seq) WHERE invoked_at IS NULL AND local_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS roost_messages_scheduled
  ON messages(session_id, scheduled_at, invoked_at) WHERE scheduled_at IS NOT NULL AND invoked_at IS NULL;

-- What was decided about each notification, by channel. Trimmed to a bound.
CREATE TABLE IF NOT EXISTS roost_pushes (
  id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  event_key TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  devices INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS roost_pushes_event ON roost_pushes(namespace, event_key, at);
CREATE INDEX IF NOT EXISTS roost_pushes_session ON roost_pushes(session_id);

-- Of a session at work: the requests that its people were told of, so that a restart tells nobody again.
CREATE TABLE IF NOT EXISTS roost_told (
  session_id TEXT PRIMARY KEY REFERENCES sessions(id) ON DELETE CASCADE,
  request_ids TEXT NOT NULL
) WITHOUT ROWID;
