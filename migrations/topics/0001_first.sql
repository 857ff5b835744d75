-- Everything durable topics keep (topics contract, sections 8 and 14): the event log, what it describes, and who may use it.
-- Times are integer Unix milliseconds. Ids are never used twice, so AUTOINCREMENT where an id leaves the server.

CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  username TEXT NOT NULL UNIQUE CHECK (length(username) BETWEEN 1 AND 64),
  password_hash TEXT NOT NULL CHECK (length(password_hash) <= 255),
  role TEXT NOT NULL DEFAULT 'admin' CHECK (length(role) BETWEEN 1 AND 32),
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

CREATE TABLE line_groups (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL CHECK (length(name) <= 128),
  cname_prefix TEXT NOT NULL UNIQUE,
  cname TEXT NOT NULL DEFAULT '' CHECK (length(cname) <= 255),
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

-- origin_addresses is a JSON list, kept as it was given.
CREATE TABLE websites (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  line_group_id INTEGER NOT NULL REFERENCES line_groups (id),
  cache_rule_id INTEGER,
  origin_mode TEXT NOT NULL CHECK (origin_mode IN ('group', 'manual', 'redirect')),
  origin_group_id INTEGER,
  origin_set_id INTEGER,
  origin_addresses TEXT CHECK (origin_addresses IS NULL OR json_valid(origin_addresses)),
  redirect_url TEXT NOT NULL DEFAULT '' CHECK (length(redirect_url) <= 2048),
  redirect_status_code INTEGER NOT NULL DEFAULT 0,
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX websites_by_line_group ON websites (line_group_id);

CREATE TABLE website_domains (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  website_id INTEGER NOT NULL REFERENCES websites (id) ON DELETE CASCADE,
  domain TEXT NOT NULL UNIQUE CHECK (length(domain) <= 255),
  is_primary INTEGER NOT NULL CHECK (is_primary IN (0, 1)),
  cname TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX website_domains_by_website ON website_domains (website_id, is_primary, id);
CREATE UNIQUE INDEX website_domains_one_primary ON website_domains (website_id) WHERE is_primary = 1;

CREATE TABLE website_https (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  website_id INTEGER NOT NULL UNIQUE REFERENCES websites (id) ON DELETE CASCADE,
  enabled INTEGER NOT NULL DEFAULT 0 CHECK (enabled IN (0, 1)),
  force_redirect INTEGER NOT NULL DEFAULT 0 CHECK (force_redirect IN (0, 1)),
  hsts INTEGER NOT NULL DEFAULT 0 CHECK (hsts IN (0, 1)),
  cert_mode TEXT NOT NULL DEFAULT 'acme' CHECK (cert_mode IN ('select', 'acme')),
  certificate_id INTEGER,
  acme_provider_id INTEGER,
  acme_account_id INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);

-- Documents of the topics that the operator declared.
CREATE TABLE topic_documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL CHECK (length(topic) BETWEEN 1 AND 64),
  document TEXT NOT NULL CHECK (json_valid(document)),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX topic_documents_by_topic ON topic_documents (topic, id);

CREATE TABLE ws_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL CHECK (length(topic) BETWEEN 1 AND 64),
  event_type TEXT NOT NULL CHECK (event_type IN ('add', 'update', 'delete')),
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  created_at INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER))
);
CREATE INDEX idx_topic_id ON ws_events (topic, id);
CREATE INDEX ws_events_by_time ON ws_events (created_at);

-- version counts changes, published counts the changes whose events are in the log. They differ only when events were not logged.
CREATE TABLE ws_topic_state (
  topic TEXT PRIMARY KEY,
  version INTEGER NOT NULL DEFAULT 0,
  published INTEGER NOT NULL DEFAULT 0,
  last_event_id INTEGER NOT NULL DEFAULT 0,
  pruned_through_id INTEGER NOT NULL DEFAULT 0,
  force_full_through INTEGER NOT NULL DEFAULT 0,
  updated_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
