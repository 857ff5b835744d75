-- Refuses where the older version would show again what a person archived.
CREATE TABLE undo_only_while (
  holds INTEGER NOT NULL CONSTRAINT no_session_is_archived CHECK (holds = 1)
);
INSERT INTO undo_only_while SELECT NOT EXISTS (SELECT 1 FROM sessions WHERE archived_seq IS NOT NULL);
DROP TABLE undo_only_while;

ALTER TABLE push_tickets DROP COLUMN is_back;
ALTER TABLE push_tickets DROP COLUMN asked;
ALTER TABLE push_ledger DROP COLUMN event_key;
DROP INDEX push_tokens_by_token;
DROP INDEX sessions_archived;
ALTER TABLE sessions DROP COLUMN archived_seq;
