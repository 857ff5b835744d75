-- Who holds what is forgotten; what is held stays.
DROP TRIGGER rpc_tasks_taken;
DROP TRIGGER rpc_tasks_held;
DROP TRIGGER rpc_tasks_given;
DROP TABLE rpc_task_holders;
DROP INDEX rpc_tasks_over;
ALTER TABLE rpc_tasks DROP COLUMN holder;

DROP TRIGGER rpc_calls_added;
DROP TRIGGER rpc_calls_used;
DROP TRIGGER rpc_calls_removed;
DROP TABLE rpc_call_holders;
DROP INDEX rpc_calls_by_use;
ALTER TABLE rpc_calls DROP COLUMN holder;
ALTER TABLE rpc_call_sums DROP COLUMN firm;
ALTER TABLE rpc_call_sums DROP COLUMN firm_bytes;
CREATE INDEX rpc_calls_by_use ON rpc_calls (is_done, used);
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
