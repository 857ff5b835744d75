// The name under which this data folder holds leases and runs calls. It stays over a restart, so that a server knows what was its own
// before a crash; one process at a time holds the folder.
import type { Database } from "../../storage/database.ts";
import { statement } from "./statement.ts";

const find = statement<{ id: string }>("SELECT id FROM rpc_node LIMIT 1");
const add = statement("INSERT INTO rpc_node (id) VALUES ($id)");

export function nodeId({ writer }: Database): Promise<string> {
  return writer.run((db) => {
    const known = find(db).get({});
    if (known !== null) return known.id;
    const id = crypto.randomUUID();
    add(db).run({ id });
    return id;
  });
}
