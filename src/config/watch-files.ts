// Tells when files changed, by looking at them: it also sees what a system's notifications miss, such as a file that was renamed
// into place, a link that was turned (Kubernetes), one that is on a network, or one that was not there before.
import { statSync } from "node:fs";

/** Long enough to cost nothing, short enough for a person who just saved the file. */
const LOOK_EVERY_MS = 2_000;

/** Calls `changed` after any of the files changed, appeared or went. @returns how to stop it. */
export function watchFiles(
  paths: readonly string[],
  changed: () => void,
  lookEveryMs = LOOK_EVERY_MS,
): () => void {
  let seen = paths.map(stateOf).join();
  const timer = setInterval(() => {
    const now = paths.map(stateOf).join();
    if (now === seen) return;
    seen = now;
    changed();
  }, lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

function stateOf(path: string): string {
  const facts = statSync(path, { throwIfNoEntry: false, bigint: true });
  return facts === undefined ? "gone" : `${facts.ino}:${facts.size}:${facts.mtimeNs}`;
}
