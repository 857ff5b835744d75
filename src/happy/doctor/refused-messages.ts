// Messages that were too large to be stored. Their sender was told that all is well, because it would repeat them for ever; so it is
// told here.
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Finding, ok, problemOf, skipped, warning } from "../../doctor/finding.ts";
import type { HouseConfig } from "../../protocol/house-settings.ts";
import { refusedSince } from "../store/refused-messages.ts";

const DAYS = 30;

export function checkRefusedMessages({ dataDir, maxContentBytes }: HouseConfig, now = Date.now()): Finding {
  const path = join(dataDir, "happy.db");
  if (statSync(path, { throwIfNoEntry: false }) === undefined)
    return skipped("messages", "There is no database yet.");
  try {
    const { sessions, count, largestBytes } = refusedSince(path, now - DAYS * 86_400_000);
    if (count === 0) return ok("messages", `No message was too large to be stored in the last ${DAYS} days.`);
    return warning(
      "messages",
      `${count} ${count === 1 ? "message" : "messages"} of ${sessions} ${sessions === 1 ? "session" : "sessions"} ` +
        `were larger than permitted and not stored in the last ${DAYS} days; the largest had ${largestBytes} bytes, ` +
        `permitted are ${maxContentBytes}. Their senders were not told.`,
      { fix: `--max-content-bytes ${largestBytes}   (the server needs about six times as much memory)` },
    );
  } catch (error) {
    return skipped("messages", `The database cannot be asked: ${problemOf(error)}.`);
  }
}
