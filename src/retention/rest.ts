// A pause after a piece of background work, so that who waits for the database or the thread gets it in between.
import { setTimeout as wait } from "node:timers/promises";

/** Share of the time in which the disk is somebody else's. */
const REST = 4;
const LONGEST_REST_MS = 250;

export async function rest(workedMs: number): Promise<void> {
  await wait(Math.min(LONGEST_REST_MS, Math.max(1, workedMs * REST)));
}
