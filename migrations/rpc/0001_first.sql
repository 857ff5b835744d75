-- What the RPC room keeps (contract 10.4, 13): answers to idempotency keys, tasks, and the name by which this folder holds leases.
-- Times are integer Unix milliseconds. Values that grow (answers, params, results) have tables of their own, so that a change of a small
-- column writes no large row again; sums are kept by triggers, so that asking for a bound counts nothing.

CREATE TABLE rpc_node (
  id TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE rpc_calls (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  hash TEXT NOT NULL,
  run TEXT NOT NULL,
  is_done INTEGER NOT NULL CHECK (is_done IN (0, 1)),
  bytes INTEGER NOT NULL,
  used INTEGER NOT NULL,
  stored_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL
);
CREATE INDEX rpc_calls_by_use ON rpc_calls (is_done, used);
CREATE INDEX rpc_calls_by_end ON rpc_calls (expires_at_ms);
CREATE INDEX rpc_calls_by_time ON rpc_calls (stored_at_ms);

CREATE TABLE rpc_call_answers (
  seq INTEGER PRIMARY KEY,
  answer TEXT NOT NULL
);

CREATE TABLE rpc_call_sums (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  entries INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  used INTEGER NOT NULL
);
INSERT INTO rpc_call_sums VALUES (1, 0, 0, 0);

CREATE TRIGGER rpc_calls_added AFTER INSERT ON rpc_calls BEGIN
  UPDATE rpc_call_sums SET entries = entries + 1, bytes = bytes + NEW.bytes, used = max(used, NEW.used);
END;
CREATE TRIGGER rpc_calls_changed AFTER UPDATE OF bytes, used ON rpc_calls BEGIN
  UPDATE rpc_call_sums SET bytes = bytes + NEW.bytes - OLD.bytes, used = max(used, NEW.used);
END;
CREATE TRIGGER rpc_calls_removed AFTER DELETE ON rpc_calls BEGIN
  UPDATE rpc_call_sums SET entries = entries - 1, bytes = bytes - OLD.bytes;
  DELETE FROM rpc_call_answers WHERE seq = OLD.seq;
END;

CREATE TABLE rpc_tasks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  parent_task_id TEXT,
  principal TEXT NOT NULL,
  trace TEXT NOT NULL,
  target_method TEXT NOT NULL,
  protocol_version TEXT NOT NULL,
  is_compat INTEGER NOT NULL DEFAULT 0 CHECK (is_compat IN (0, 1)),
  status TEXT NOT NULL CHECK (status IN ('pending', 'scheduled', 'running', 'succeeded', 'failed', 'canceled', 'retrying')),
  priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  scheduled_at_ms INTEGER,
  ready_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER,
  completed_at_ms INTEGER,
  attempt INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  next_retry_at_ms INTEGER,
  timeout_ms INTEGER,
  idempotency_key TEXT UNIQUE,
  ttl_ms INTEGER NOT NULL,
  error TEXT,
  progress TEXT,
  metadata TEXT NOT NULL,
  tags TEXT NOT NULL,
  lease_owner TEXT,
  lease_until_ms INTEGER,
  version INTEGER NOT NULL,
  bytes INTEGER NOT NULL
);
CREATE INDEX rpc_tasks_queue ON rpc_tasks (status, priority, ready_at_ms, seq);
CREATE INDEX rpc_tasks_ready ON rpc_tasks (status, ready_at_ms);
CREATE INDEX rpc_tasks_by_end ON rpc_tasks (completed_at_ms, seq);
CREATE INDEX rpc_tasks_by_ttl ON rpc_tasks (ttl_ms);

CREATE TABLE rpc_task_params (
  seq INTEGER PRIMARY KEY,
  params TEXT NOT NULL
);

CREATE TABLE rpc_task_results (
  seq INTEGER PRIMARY KEY,
  result TEXT NOT NULL
);

CREATE TABLE rpc_task_sums (
  status TEXT NOT NULL PRIMARY KEY,
  tasks INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO rpc_task_sums VALUES
  ('pending', 0, 0), ('scheduled', 0, 0), ('running', 0, 0), ('succeeded', 0, 0), ('failed', 0, 0), ('canceled', 0, 0), ('retrying', 0, 0);

CREATE TRIGGER rpc_tasks_added AFTER INSERT ON rpc_tasks BEGIN
  UPDATE rpc_task_sums SET tasks = tasks + 1, bytes = bytes + NEW.bytes WHERE status = NEW.status;
END;
CREATE TRIGGER rpc_tasks_changed AFTER UPDATE OF status, bytes ON rpc_tasks BEGIN
  UPDATE rpc_task_sums SET tasks = tasks - 1, bytes = bytes - OLD.bytes WHERE status = OLD.status;
  UPDATE rpc_task_sums SET tasks = tasks + 1, bytes = bytes + NEW.bytes WHERE status = NEW.status;
END;
CREATE TRIGGER rpc_tasks_removed AFTER DELETE ON rpc_tasks BEGIN
  UPDATE rpc_task_sums SET tasks = tasks - 1, bytes = bytes - OLD.bytes WHERE status = OLD.status;
  DELETE FROM rpc_task_params WHERE seq = OLD.seq;
  DELETE FROM rpc_task_results WHERE seq = OLD.seq;
END;
