-- A person's archive outlives heartbeats and restarts. The number is its place among all archives and connections, so that no clock
-- decides which sockets came after it; null when the session is not archived.
ALTER TABLE sessions ADD COLUMN archived_seq INTEGER;
CREATE INDEX sessions_archived ON sessions (archived_seq) WHERE archived_seq IS NOT NULL;

-- A phone belongs to the account that registered its token last.
CREATE INDEX push_tokens_by_token ON push_tokens (token);

-- Tells the same push event again, also after a restart.
ALTER TABLE push_ledger ADD COLUMN event_key TEXT;

-- How often Expo was asked for the receipt, whatever the clock says, and whether the device registered again after the push.
ALTER TABLE push_tickets ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE push_tickets ADD COLUMN is_back INTEGER NOT NULL DEFAULT 0;
