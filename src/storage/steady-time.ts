// Time for what is stored and ends after a while. Within a process it never steps: the wall clock at the start, counted on by the
// monotonic clock, so that a correction of the clock ends nothing early and keeps nothing alive. Only a restart reads the wall clock
// again; whoever keeps such times says there what becomes of one that lies in the future. Never shown to a person or a client.

const START_WALL = Date.now();
const START = performance.now();

/** Unix milliseconds. */
export const steadyNow = (): number => Math.floor(START_WALL + performance.now() - START);
