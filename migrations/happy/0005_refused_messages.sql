-- Messages whose content was larger than permitted: left out of their batch, and remembered for the operator.
CREATE TABLE refused_messages (
  session_pk INTEGER PRIMARY KEY REFERENCES sessions (pk) ON DELETE CASCADE,
  count INTEGER NOT NULL,
  largest_bytes INTEGER NOT NULL,
  last_at INTEGER NOT NULL
);
