// A server that idles holds little: what a start or a burst left behind is given back once the process has been quiet for a while,
// when nobody can notice the pause. Half of what is resident are pages of the program file (program-pages.ts).

import { forgetProgramPages } from "./program-pages.ts";

/** Between two looks. */
const LOOK_MS = 15_000;
/** After the start: soon enough that the first minute on a small machine is already lean. */
const FIRST_LOOK_MS = 2_000;
/** Share of one core below which the process counts as quiet. */
const QUIET_SHARE = 0.02;
/** Processor time since the last clean-up below which there is nothing worth collecting. */
const WORTH_MICROSECONDS = 100_000;

/** Begins to look; returns how to stop. */
export function keepMemorySmall(): () => void {
  let sinceLook = process.cpuUsage();
  let sinceTrim = 0;
  const used = () => {
    const { user, system } = process.cpuUsage(sinceLook);
    sinceLook = process.cpuUsage();
    return user + system;
  };
  const look = (quietBelow: number) => {
    const busy = used();
    sinceTrim += busy;
    if (busy > quietBelow || sinceTrim < WORTH_MICROSECONDS) return;
    Bun.gc(true);
    Bun.shrink();
    forgetProgramPages();
    sinceTrim = 0;
    used();
  };
  const first = setTimeout(() => look(Number.POSITIVE_INFINITY), FIRST_LOOK_MS);
  const timer = setInterval(() => look(LOOK_MS * 1000 * QUIET_SHARE), LOOK_MS);
  first.unref();
  timer.unref();
  return () => {
    clearTimeout(first);
    clearInterval(timer);
  };
}
