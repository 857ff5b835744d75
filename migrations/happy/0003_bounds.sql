-- Bounds of what strangers and accounts can make the server keep.

-- Pairings that are over are found by what they wait for, not by looking at all of them. An approval without a text is none.
UPDATE terminal_auth_requests SET response = NULL, response_account_pk = NULL WHERE response = '';
UPDATE account_auth_requests SET response = NULL, response_account_pk = NULL WHERE response = '';
DROP INDEX terminal_auth_requests_by_time;
DROP INDEX account_auth_requests_by_time;
CREATE INDEX terminal_auth_requests_waiting ON terminal_auth_requests (created_at) WHERE response IS NULL;
CREATE INDEX terminal_auth_requests_approved ON terminal_auth_requests (updated_at)
  WHERE response IS NOT NULL AND first_delivered_at IS NULL;
CREATE INDEX terminal_auth_requests_delivered ON terminal_auth_requests (first_delivered_at)
  WHERE first_delivered_at IS NOT NULL;
CREATE INDEX account_auth_requests_waiting ON account_auth_requests (created_at) WHERE response IS NULL;
CREATE INDEX account_auth_requests_approved ON account_auth_requests (updated_at)
  WHERE response IS NOT NULL AND first_delivered_at IS NULL;
CREATE INDEX account_auth_requests_delivered ON account_auth_requests (first_delivered_at)
  WHERE first_delivered_at IS NOT NULL;

-- A person's refusal is kept apart from the keys that wait, which strangers can fill.
CREATE TABLE refused_keys (
  public_key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  client TEXT NOT NULL,
  refused_at INTEGER NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX refused_keys_by_fingerprint ON refused_keys (fingerprint);
INSERT INTO refused_keys (public_key, fingerprint, client, refused_at, first_seen_at, last_seen_at)
  SELECT public_key, fingerprint, client, refused_at, first_seen_at, last_seen_at
  FROM waiting_keys WHERE refused_at IS NOT NULL;
DELETE FROM waiting_keys WHERE refused_at IS NOT NULL;
ALTER TABLE waiting_keys DROP COLUMN refused_at;
-- Where a key came from, as limits count it: one network must not push out the keys of the others.
ALTER TABLE waiting_keys ADD COLUMN network TEXT NOT NULL DEFAULT '';
CREATE INDEX waiting_keys_by_network ON waiting_keys (network, last_seen_at);

-- Tokens of an earlier generation than their account's are refused, whatever a clock said when they were issued.
ALTER TABLE accounts ADD COLUMN tokens_generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE seen_tokens ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
CREATE INDEX seen_tokens_by_time ON seen_tokens (account_pk, last_seen_at);

-- What each account keeps: bytes of its contents with a floor of 256 for each row, and how many machines and access keys.
-- The triggers below keep it true for every way in and out.
CREATE TABLE account_sizes (
  account_pk INTEGER PRIMARY KEY REFERENCES accounts (pk) ON DELETE CASCADE,
  bytes INTEGER NOT NULL DEFAULT 0,
  machines INTEGER NOT NULL DEFAULT 0,
  access_keys INTEGER NOT NULL DEFAULT 0
);

-- Attachments are files; this is what a session has of them.
CREATE TABLE attachment_sizes (
  session_pk INTEGER PRIMARY KEY REFERENCES sessions (pk) ON DELETE CASCADE,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk),
  files INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attachment_sizes_by_account ON attachment_sizes (account_pk);

INSERT INTO account_sizes (account_pk, bytes, machines, access_keys)
  SELECT a.pk, coalesce(octet_length(a.settings), 0)
      + coalesce((SELECT sum(octet_length(m.content) + coalesce(octet_length(m.local_id), 0) + 256)
          FROM sessions s JOIN messages m ON m.session_pk = s.pk WHERE s.account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(tag) + octet_length(metadata) + coalesce(octet_length(agent_state), 0) + 256)
          FROM sessions WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(id) + octet_length(metadata) + coalesce(octet_length(daemon_state), 0) + 256)
          FROM machines WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(data) + 256)
          FROM access_keys WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(header) + octet_length(body) + octet_length(data_encryption_key) + 256)
          FROM artifacts WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(key) + coalesce(octet_length(value), 0) + 256)
          FROM kv_entries WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(key) + octet_length(data) + 256)
          FROM usage_reports WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(token) + 256)
          FROM push_tokens WHERE account_pk = a.pk), 0)
      + coalesce((SELECT sum(octet_length(token) + 256)
          FROM service_account_tokens WHERE account_pk = a.pk), 0),
    (SELECT count(*) FROM machines WHERE account_pk = a.pk),
    (SELECT count(*) FROM access_keys WHERE account_pk = a.pk)
  FROM accounts a;

-- A cast and not octet_length: an sqlite3 of Debian 12 that changes a row must know every function here.
CREATE TRIGGER accounts_sized AFTER INSERT ON accounts BEGIN
  INSERT INTO account_sizes (account_pk, bytes) VALUES (NEW.pk, coalesce(length(CAST(NEW.settings AS BLOB)), 0));
END;
CREATE TRIGGER accounts_resized AFTER UPDATE OF settings ON accounts BEGIN
  UPDATE account_sizes
    SET bytes = bytes + coalesce(length(CAST(NEW.settings AS BLOB)), 0) - coalesce(length(CAST(OLD.settings AS BLOB)), 0)
    WHERE account_pk = NEW.pk;
END;

CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.content AS BLOB)) + coalesce(length(CAST(NEW.local_id AS BLOB)), 0) + 256
    WHERE account_pk = (SELECT account_pk FROM sessions WHERE pk = NEW.session_pk);
END;
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.content AS BLOB)) + coalesce(length(CAST(OLD.local_id AS BLOB)), 0) + 256)
    WHERE account_pk = (SELECT account_pk FROM sessions WHERE pk = OLD.session_pk);
END;

CREATE TRIGGER sessions_added AFTER INSERT ON sessions BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.tag AS BLOB)) + length(CAST(NEW.metadata AS BLOB))
      + coalesce(length(CAST(NEW.agent_state AS BLOB)), 0) + 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER sessions_changed AFTER UPDATE OF metadata, agent_state ON sessions BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.metadata AS BLOB)) + coalesce(length(CAST(NEW.agent_state AS BLOB)), 0)
      - (length(CAST(OLD.metadata AS BLOB)) + coalesce(length(CAST(OLD.agent_state AS BLOB)), 0))
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER sessions_removed AFTER DELETE ON sessions BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.tag AS BLOB)) + length(CAST(OLD.metadata AS BLOB))
      + coalesce(length(CAST(OLD.agent_state AS BLOB)), 0) + 256)
    WHERE account_pk = OLD.account_pk;
END;

CREATE TRIGGER machines_added AFTER INSERT ON machines BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.id AS BLOB)) + length(CAST(NEW.metadata AS BLOB))
      + coalesce(length(CAST(NEW.daemon_state AS BLOB)), 0) + 256, machines = machines + 1
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER machines_changed AFTER UPDATE OF metadata, daemon_state ON machines BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.metadata AS BLOB)) + coalesce(length(CAST(NEW.daemon_state AS BLOB)), 0)
      - (length(CAST(OLD.metadata AS BLOB)) + coalesce(length(CAST(OLD.daemon_state AS BLOB)), 0))
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER machines_removed AFTER DELETE ON machines BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.id AS BLOB)) + length(CAST(OLD.metadata AS BLOB))
      + coalesce(length(CAST(OLD.daemon_state AS BLOB)), 0) + 256), machines = machines - 1
    WHERE account_pk = OLD.account_pk;
END;

CREATE TRIGGER access_keys_added AFTER INSERT ON access_keys BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.data AS BLOB)) + 256, access_keys = access_keys + 1
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER access_keys_changed AFTER UPDATE OF data ON access_keys BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.data AS BLOB))
      - (length(CAST(OLD.data AS BLOB)))
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER access_keys_removed AFTER DELETE ON access_keys BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.data AS BLOB)) + 256), access_keys = access_keys - 1
    WHERE account_pk = OLD.account_pk;
END;

CREATE TRIGGER artifacts_added AFTER INSERT ON artifacts BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.header AS BLOB)) + length(CAST(NEW.body AS BLOB))
      + length(CAST(NEW.data_encryption_key AS BLOB)) + 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER artifacts_changed AFTER UPDATE OF header, body ON artifacts BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.header AS BLOB)) + length(CAST(NEW.body AS BLOB))
      - (length(CAST(OLD.header AS BLOB)) + length(CAST(OLD.body AS BLOB)))
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER artifacts_removed AFTER DELETE ON artifacts BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.header AS BLOB)) + length(CAST(OLD.body AS BLOB))
      + length(CAST(OLD.data_encryption_key AS BLOB)) + 256)
    WHERE account_pk = OLD.account_pk;
END;

CREATE TRIGGER kv_entries_added AFTER INSERT ON kv_entries BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.key AS BLOB)) + coalesce(length(CAST(NEW.value AS BLOB)), 0) + 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER kv_entries_changed AFTER UPDATE OF value ON kv_entries BEGIN
  UPDATE account_sizes
    SET bytes = bytes + coalesce(length(CAST(NEW.value AS BLOB)), 0)
      - (coalesce(length(CAST(OLD.value AS BLOB)), 0))
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER kv_entries_removed AFTER DELETE ON kv_entries BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.key AS BLOB)) + coalesce(length(CAST(OLD.value AS BLOB)), 0) + 256)
    WHERE account_pk = OLD.account_pk;
END;

CREATE TRIGGER usage_reports_added AFTER INSERT ON usage_reports BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.key AS BLOB)) + length(CAST(NEW.data AS BLOB)) + 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER usage_reports_changed AFTER UPDATE OF data ON usage_reports BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.data AS BLOB))
      - (length(CAST(OLD.data AS BLOB)))
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER usage_reports_removed AFTER DELETE ON usage_reports BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.key AS BLOB)) + length(CAST(OLD.data AS BLOB)) + 256)
    WHERE account_pk = OLD.account_pk;
END;

CREATE TRIGGER push_tokens_added AFTER INSERT ON push_tokens BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.token AS BLOB)) + 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER push_tokens_removed AFTER DELETE ON push_tokens BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.token AS BLOB)) + 256)
    WHERE account_pk = OLD.account_pk;
END;

CREATE TRIGGER service_account_tokens_added AFTER INSERT ON service_account_tokens BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.token AS BLOB)) + 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER service_account_tokens_changed AFTER UPDATE OF token ON service_account_tokens BEGIN
  UPDATE account_sizes
    SET bytes = bytes + length(CAST(NEW.token AS BLOB))
      - (length(CAST(OLD.token AS BLOB)))
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER service_account_tokens_removed AFTER DELETE ON service_account_tokens BEGIN
  UPDATE account_sizes
    SET bytes = bytes - (length(CAST(OLD.token AS BLOB)) + 256)
    WHERE account_pk = OLD.account_pk;
END;

-- A phone that belongs to another account now.
CREATE TRIGGER push_tokens_moved AFTER UPDATE OF account_pk ON push_tokens BEGIN
  UPDATE account_sizes SET bytes = bytes - (length(CAST(OLD.token AS BLOB)) + 256) WHERE account_pk = OLD.account_pk;
  UPDATE account_sizes SET bytes = bytes + length(CAST(NEW.token AS BLOB)) + 256 WHERE account_pk = NEW.account_pk;
END;

CREATE TRIGGER attachments_added AFTER INSERT ON attachment_sizes BEGIN
  UPDATE account_sizes
    SET bytes = bytes + NEW.bytes + NEW.files * 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER attachments_changed AFTER UPDATE OF bytes, files ON attachment_sizes BEGIN
  UPDATE account_sizes
    SET bytes = bytes + NEW.bytes - OLD.bytes + (NEW.files - OLD.files) * 256
    WHERE account_pk = NEW.account_pk;
END;
CREATE TRIGGER attachments_removed AFTER DELETE ON attachment_sizes BEGIN
  UPDATE account_sizes
    SET bytes = bytes - OLD.bytes - OLD.files * 256
    WHERE account_pk = OLD.account_pk;
END;
