// The Happy database's migrations in order, embedded as text so that the executable carries them.

import firstDown from "../../../migrations/happy/0001_first.down.sql" with { type: "text" };
import firstUp from "../../../migrations/happy/0001_first.sql" with { type: "text" };
import admissionDown from "../../../migrations/happy/0002_admission.down.sql" with { type: "text" };
import admissionUp from "../../../migrations/happy/0002_admission.sql" with { type: "text" };
import boundsDown from "../../../migrations/happy/0003_bounds.down.sql" with { type: "text" };
import boundsUp from "../../../migrations/happy/0003_bounds.sql" with { type: "text" };
import archiveDown from "../../../migrations/happy/0004_archive.down.sql" with { type: "text" };
import archiveUp from "../../../migrations/happy/0004_archive.sql" with { type: "text" };
import refusedMessagesDown from "../../../migrations/happy/0005_refused_messages.down.sql" with {
  type: "text",
};
import refusedMessagesUp from "../../../migrations/happy/0005_refused_messages.sql" with { type: "text" };
import type { Migration } from "../../storage/migrations.ts";

export const migrations: readonly Migration[] = [
  { name: "0001_first", up: firstUp, down: firstDown },
  { name: "0002_admission", up: admissionUp, down: admissionDown },
  { name: "0003_bounds", up: boundsUp, down: boundsDown },
  { name: "0004_archive", up: archiveUp, down: archiveDown },
  { name: "0005_refused_messages", up: refusedMessagesUp, down: refusedMessagesDown },
];
