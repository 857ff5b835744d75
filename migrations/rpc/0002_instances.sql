-- Instances that programs registered (contract 27.4), each under the tenant that did. Read when the server starts: nobody knows by then how
-- they are, and their time runs on.
CREATE TABLE rpc_instances (
  seq INTEGER PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  instance_id TEXT NOT NULL,
  is_shared INTEGER NOT NULL CHECK (is_shared IN (0, 1)),
  instance TEXT NOT NULL,
  renewed_at_ms INTEGER NOT NULL,
  UNIQUE (tenant_id, instance_id)
);
