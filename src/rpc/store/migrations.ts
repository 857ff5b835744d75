// The RPC database's migrations in order, embedded as text so that the executable carries them.
import firstDown from "../../../migrations/rpc/0001_first.down.sql" with { type: "text" };
import firstUp from "../../../migrations/rpc/0001_first.sql" with { type: "text" };
import instancesDown from "../../../migrations/rpc/0002_instances.down.sql" with { type: "text" };
import instancesUp from "../../../migrations/rpc/0002_instances.sql" with { type: "text" };
import sharesDown from "../../../migrations/rpc/0003_shares.down.sql" with { type: "text" };
import sharesUp from "../../../migrations/rpc/0003_shares.sql" with { type: "text" };
import type { Migration } from "../../storage/migrations.ts";

export const migrations: readonly Migration[] = [
  { name: "0001_first", up: firstUp, down: firstDown },
  { name: "0002_instances", up: instancesUp, down: instancesDown },
  { name: "0003_shares", up: sharesUp, down: sharesDown },
];
