-- Refuses where the older version would let in again what was shut out: it knows cuts by time only, and no refusals of its own kind
-- are lost, because they go back to the keys that wait.
CREATE TABLE undo_only_while (
  holds INTEGER NOT NULL CONSTRAINT no_account_has_revoked_all_of_its_tokens CHECK (holds = 1)
);
INSERT INTO undo_only_while SELECT NOT EXISTS (SELECT 1 FROM accounts WHERE tokens_generation > 0);
DROP TABLE undo_only_while;

DROP TRIGGER accounts_sized;
DROP TRIGGER accounts_resized;
DROP TRIGGER messages_added;
DROP TRIGGER messages_removed;
DROP TRIGGER sessions_added;
DROP TRIGGER sessions_changed;
DROP TRIGGER sessions_removed;
DROP TRIGGER machines_added;
DROP TRIGGER machines_changed;
DROP TRIGGER machines_removed;
DROP TRIGGER access_keys_added;
DROP TRIGGER access_keys_changed;
DROP TRIGGER access_keys_removed;
DROP TRIGGER artifacts_added;
DROP TRIGGER artifacts_changed;
DROP TRIGGER artifacts_removed;
DROP TRIGGER kv_entries_added;
DROP TRIGGER kv_entries_changed;
DROP TRIGGER kv_entries_removed;
DROP TRIGGER usage_reports_added;
DROP TRIGGER usage_reports_changed;
DROP TRIGGER usage_reports_removed;
DROP TRIGGER push_tokens_added;
DROP TRIGGER push_tokens_removed;
DROP TRIGGER service_account_tokens_added;
DROP TRIGGER service_account_tokens_changed;
DROP TRIGGER service_account_tokens_removed;
DROP TRIGGER push_tokens_moved;
DROP TRIGGER attachments_added;
DROP TRIGGER attachments_changed;
DROP TRIGGER attachments_removed;
DROP TABLE attachment_sizes;
DROP TABLE account_sizes;

DROP INDEX seen_tokens_by_time;
ALTER TABLE seen_tokens DROP COLUMN generation;
ALTER TABLE accounts DROP COLUMN tokens_generation;

DROP INDEX waiting_keys_by_network;
ALTER TABLE waiting_keys DROP COLUMN network;
-- At its old place: the column order is what a copy of the table relies on.
ALTER TABLE waiting_keys RENAME TO waiting_keys_before;
DROP INDEX waiting_keys_by_fingerprint;
DROP INDEX waiting_keys_by_time;
CREATE TABLE waiting_keys (
  public_key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  client TEXT NOT NULL,
  refused_at INTEGER,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX waiting_keys_by_fingerprint ON waiting_keys (fingerprint);
CREATE INDEX waiting_keys_by_time ON waiting_keys (last_seen_at);
INSERT INTO waiting_keys SELECT public_key, fingerprint, client, NULL, first_seen_at, last_seen_at FROM waiting_keys_before;
INSERT OR REPLACE INTO waiting_keys
  SELECT public_key, fingerprint, client, refused_at, first_seen_at, last_seen_at FROM refused_keys;
DROP TABLE waiting_keys_before;
DROP TABLE refused_keys;

DROP INDEX terminal_auth_requests_waiting;
DROP INDEX terminal_auth_requests_approved;
DROP INDEX terminal_auth_requests_delivered;
CREATE INDEX terminal_auth_requests_by_time ON terminal_auth_requests (created_at);
DROP INDEX account_auth_requests_waiting;
DROP INDEX account_auth_requests_approved;
DROP INDEX account_auth_requests_delivered;
CREATE INDEX account_auth_requests_by_time ON account_auth_requests (created_at);
