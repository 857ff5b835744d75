-- Who holds how much of the answers and of the tasks: kept by triggers for each holder, so that asking who has room and who gives counts
-- nothing. Firm is what cannot be taken back: calls that run, tasks that are not over. What was there before is held by anyone.
ALTER TABLE rpc_calls ADD COLUMN holder TEXT NOT NULL DEFAULT 'anyone';
ALTER TABLE rpc_call_sums ADD COLUMN firm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rpc_call_sums ADD COLUMN firm_bytes INTEGER NOT NULL DEFAULT 0;
DROP INDEX rpc_calls_by_use;
CREATE INDEX rpc_calls_by_use ON rpc_calls (holder, is_done, used);

CREATE TABLE rpc_call_holders (
  holder TEXT NOT NULL PRIMARY KEY,
  entries INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  firm INTEGER NOT NULL,
  firm_bytes INTEGER NOT NULL,
  used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX rpc_call_holders_by_entries ON rpc_call_holders (entries DESC, used) WHERE entries > firm;
CREATE INDEX rpc_call_holders_by_bytes ON rpc_call_holders (bytes DESC, used) WHERE entries > firm;
INSERT INTO rpc_call_holders
  SELECT 'anyone', count(*), sum(bytes), sum(1 - is_done), sum(bytes * (1 - is_done)), max(used) FROM rpc_calls HAVING count(*) > 0;
UPDATE rpc_call_sums SET
  firm = (SELECT coalesce(sum(firm), 0) FROM rpc_call_holders),
  firm_bytes = (SELECT coalesce(sum(firm_bytes), 0) FROM rpc_call_holders);

DROP TRIGGER rpc_calls_added;
DROP TRIGGER rpc_calls_changed;
DROP TRIGGER rpc_calls_removed;
CREATE TRIGGER rpc_calls_added AFTER INSERT ON rpc_calls BEGIN
  UPDATE rpc_call_sums SET entries = entries + 1, bytes = bytes + NEW.bytes, used = max(used, NEW.used),
    firm = firm + 1 - NEW.is_done, firm_bytes = firm_bytes + NEW.bytes * (1 - NEW.is_done);
  INSERT INTO rpc_call_holders VALUES (NEW.holder, 1, NEW.bytes, 1 - NEW.is_done, NEW.bytes * (1 - NEW.is_done), NEW.used)
    ON CONFLICT (holder) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes, firm = firm + excluded.firm,
      firm_bytes = firm_bytes + excluded.firm_bytes, used = max(used, excluded.used);
END;
CREATE TRIGGER rpc_calls_used AFTER UPDATE OF used ON rpc_calls BEGIN
  UPDATE rpc_call_sums SET used = max(used, NEW.used);
  UPDATE rpc_call_holders SET used = max(used, NEW.used) WHERE holder = NEW.holder;
END;
CREATE TRIGGER rpc_calls_removed AFTER DELETE ON rpc_calls BEGIN
  UPDATE rpc_call_sums SET entries = entries - 1, bytes = bytes - OLD.bytes,
    firm = firm - 1 + OLD.is_done, firm_bytes = firm_bytes - OLD.bytes * (1 - OLD.is_done);
  UPDATE rpc_call_holders SET entries = entries - 1, bytes = bytes - OLD.bytes, firm = firm - 1 + OLD.is_done,
    firm_bytes = firm_bytes - OLD.bytes * (1 - OLD.is_done) WHERE holder = OLD.holder;
  DELETE FROM rpc_call_holders WHERE holder = OLD.holder AND entries = 0;
  DELETE FROM rpc_call_answers WHERE seq = OLD.seq;
END;

ALTER TABLE rpc_tasks ADD COLUMN holder TEXT NOT NULL DEFAULT 'anyone';
CREATE INDEX rpc_tasks_over ON rpc_tasks (holder, completed_at_ms, seq) WHERE completed_at_ms IS NOT NULL;

CREATE TABLE rpc_task_holders (
  holder TEXT NOT NULL PRIMARY KEY,
  entries INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  firm INTEGER NOT NULL,
  firm_bytes INTEGER NOT NULL,
  used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX rpc_task_holders_by_entries ON rpc_task_holders (entries DESC, used) WHERE entries > firm;
CREATE INDEX rpc_task_holders_by_bytes ON rpc_task_holders (bytes DESC, used) WHERE entries > firm;
INSERT INTO rpc_task_holders
  SELECT 'anyone', count(*), sum(bytes), sum(completed_at_ms IS NULL), sum(bytes * (completed_at_ms IS NULL)), max(seq)
  FROM rpc_tasks HAVING count(*) > 0;

CREATE TRIGGER rpc_tasks_taken AFTER INSERT ON rpc_tasks BEGIN
  INSERT INTO rpc_task_holders
    VALUES (NEW.holder, 1, NEW.bytes, NEW.completed_at_ms IS NULL, NEW.bytes * (NEW.completed_at_ms IS NULL), NEW.seq)
    ON CONFLICT (holder) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes, firm = firm + excluded.firm,
      firm_bytes = firm_bytes + excluded.firm_bytes, used = max(used, excluded.used);
END;
CREATE TRIGGER rpc_tasks_held AFTER UPDATE OF bytes, completed_at_ms ON rpc_tasks
WHEN OLD.bytes <> NEW.bytes OR (OLD.completed_at_ms IS NULL) <> (NEW.completed_at_ms IS NULL) BEGIN
  UPDATE rpc_task_holders SET bytes = bytes + NEW.bytes - OLD.bytes,
    firm = firm + (NEW.completed_at_ms IS NULL) - (OLD.completed_at_ms IS NULL),
    firm_bytes = firm_bytes + NEW.bytes * (NEW.completed_at_ms IS NULL) - OLD.bytes * (OLD.completed_at_ms IS NULL)
    WHERE holder = NEW.holder;
END;
CREATE TRIGGER rpc_tasks_given AFTER DELETE ON rpc_tasks BEGIN
  UPDATE rpc_task_holders SET entries = entries - 1, bytes = bytes - OLD.bytes, firm = firm - (OLD.completed_at_ms IS NULL),
    firm_bytes = firm_bytes - OLD.bytes * (OLD.completed_at_ms IS NULL) WHERE holder = OLD.holder;
  DELETE FROM rpc_task_holders WHERE holder = OLD.holder AND entries = 0;
END;
