-- Who may come in: the owner, disabled accounts, keys that wait, invites, and tokens that no longer count.

-- Tokens issued before tokens_valid_from (Unix seconds, as in the token) are refused; null when none are.
ALTER TABLE accounts ADD COLUMN is_owner INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN disabled_at INTEGER;
ALTER TABLE accounts ADD COLUMN tokens_valid_from INTEGER;
UPDATE accounts SET is_owner = 1 WHERE pk = (SELECT min(pk) FROM accounts);

-- Keys that signed in and were not admitted. A refused one stays, so that it does not come up again.
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

-- The code itself is not kept.
CREATE TABLE invites (
  code_hash BLOB PRIMARY KEY,
  uses_left INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE revoked_tokens (
  token_id TEXT PRIMARY KEY,
  account_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  revoked_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX revoked_tokens_by_account ON revoked_tokens (account_pk);

-- Tokens never expire: those of a deleted account must not come back as an account that is not there.
CREATE TABLE removed_accounts (
  id TEXT PRIMARY KEY,
  removed_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Which tokens are in use. issued_at is in Unix seconds, as in the token.
CREATE TABLE seen_tokens (
  account_pk INTEGER NOT NULL REFERENCES accounts (pk) ON DELETE CASCADE,
  token_id TEXT NOT NULL,
  label TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  PRIMARY KEY (account_pk, token_id)
) WITHOUT ROWID;
