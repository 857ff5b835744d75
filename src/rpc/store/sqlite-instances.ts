// Registrations of instances in SQLite (contract 27.4): whoever was told that it is registered is there after a crash too.
import type { Database } from "../../storage/database.ts";
import { statement } from "./statement.ts";

export interface KeptInstance {
  readonly tenant: string;
  readonly id: string;
  readonly isShared: boolean;
  /** As JSON. */
  readonly instance: string;
  readonly renewedAtMs: number;
}

interface Row {
  readonly tenant_id: string;
  readonly instance_id: string;
  readonly is_shared: number;
  readonly instance: string;
  readonly renewed_at_ms: number;
}

const upsert = statement(
  `INSERT INTO rpc_instances (tenant_id, instance_id, is_shared, instance, renewed_at_ms)
   VALUES ($tenant, $id, $isShared, $instance, $renewedAt)
   ON CONFLICT (tenant_id, instance_id) DO UPDATE SET is_shared = $isShared, instance = $instance, renewed_at_ms = $renewedAt`,
);
const renew = statement(
  "UPDATE rpc_instances SET renewed_at_ms = $renewedAt WHERE tenant_id = $tenant AND instance_id = $id",
);
const remove = statement("DELETE FROM rpc_instances WHERE tenant_id = $tenant AND instance_id = $id");
const removeUnlessNewer = statement(
  "DELETE FROM rpc_instances WHERE tenant_id = $tenant AND instance_id = $id AND renewed_at_ms <= $renewedAt",
);
const all = statement<Row>(
  "SELECT tenant_id, instance_id, is_shared, instance, renewed_at_ms FROM rpc_instances ORDER BY seq",
);

/** `done` is called when it is durable, in the order of the changes. */
export class SqliteInstances {
  constructor(private readonly database: Database) {}

  save({ tenant, id, isShared, instance, renewedAtMs }: KeptInstance, done: () => void): Promise<void> {
    return this.database.writer.run(
      (db) => {
        this.database.quota.admit("thing", instance.length);
        upsert(db).run({ tenant, id, isShared: isShared ? 1 : 0, instance, renewedAt: renewedAtMs });
      },
      done,
      { holds: instance },
    );
  }

  renew(tenant: string, id: string, renewedAtMs: number, done: () => void): Promise<void> {
    return this.database.writer.run((db) => {
      renew(db).run({ tenant, id, renewedAt: renewedAtMs });
    }, done);
  }

  remove(tenant: string, id: string, done: () => void): Promise<void> {
    return this.database.writer.run((db) => {
      remove(db).run({ tenant, id });
    }, done);
  }

  /** Of one that nobody renewed after that time. */
  forget(tenant: string, id: string, renewedAtMs: number): Promise<void> {
    return this.database.writer.run((db) => {
      removeUnlessNewer(db).run({ tenant, id, renewedAt: renewedAtMs });
    });
  }

  /** At the start: nobody has changed anything yet. */
  load(): KeptInstance[] {
    return all(this.database.reads)
      .all({})
      .map(({ tenant_id, instance_id, is_shared, instance, renewed_at_ms }) => ({
        tenant: tenant_id,
        id: instance_id,
        isShared: is_shared === 1,
        instance,
        renewedAtMs: renewed_at_ms,
      }));
  }
}
