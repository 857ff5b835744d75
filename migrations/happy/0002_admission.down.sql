-- Refuses where the older version would let in again who was shut out.
CREATE TABLE undo_only_while (
  holds INTEGER NOT NULL CONSTRAINT no_account_is_disabled_or_deleted_and_no_token_revoked CHECK (holds = 1)
);
INSERT INTO undo_only_while
  SELECT NOT EXISTS (SELECT 1 FROM accounts WHERE disabled_at IS NOT NULL OR tokens_valid_from IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM revoked_tokens)
    AND NOT EXISTS (SELECT 1 FROM removed_accounts);
DROP TABLE undo_only_while;

DROP TABLE seen_tokens;
DROP TABLE removed_accounts;
DROP TABLE revoked_tokens;
DROP TABLE invites;
DROP TABLE waiting_keys;
ALTER TABLE accounts DROP COLUMN tokens_valid_from;
ALTER TABLE accounts DROP COLUMN disabled_at;
ALTER TABLE accounts DROP COLUMN is_owner;
