// How a hapi.db is recognized: by its version and its tables. It is another program's format, taken over from any version that the
// released hub takes over, and handed back (hapi-data 2 to 7).
import additions from "../../../migrations/hapi/additions.sql" with { type: "text" };
import fresh from "../../../migrations/hapi/fresh.sql" with { type: "text" };
import type { ForeignIdentity } from "../../storage/identity.ts";

export const hapiIdentity: ForeignIdentity = {
  kind: "foreign",
  format: "HAPI",
  oldest: 1,
  tables: ["sessions", "machines", "messages", "users", "push_subscriptions"],
  newestTables: [
    "message_epochs",
    "fcm_devices",
    "session_scratchlist",
    "usage_events",
    "usage_scan_state",
    "events",
    "event_links",
  ],
  unnumbered: ["sessions", "machines", "messages"],
  fresh,
  additions,
};

/** Numbers that only grow, for the drill of a backup. */
export const hapiHighWater = [
  { table: "sessions", sql: "SELECT 'session ' || id AS name, seq AS high FROM sessions" },
  {
    table: "roost_sessions",
    sql: "SELECT 'newest message of session ' || session_id AS name, last_seq AS high FROM roost_sessions",
  },
];
