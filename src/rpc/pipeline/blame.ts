// Whose fault it is that a deadline passed (contract 12.4): a service is told only of time that its method had.
import type { Call } from "./call.ts";

/** So much of its own time a handler may lack for the way to it. */
const ON_THE_WAY = 0.1;

/** What the method may take where nobody asks for less; infinite for a stream, which has no deadline unless somebody does (contract 7.8). */
function ownMs({ config: { qos }, definition, incoming }: Call): number {
  if (incoming.kind !== "unary") return definition.timeoutMs ?? Number.POSITIVE_INFINITY;
  return Math.min(definition.timeoutMs ?? qos.default_timeout_ms, qos.max_timeout_ms);
}

/**
 * Of a call whose deadline has passed and whose handler began at `beganAt`: its caller left the handler less time than the method has, and
 * within that the handler was. It asked for less, or took so long to send the call.
 */
export function isCallersDeadline(call: Call, beganAt: number): boolean {
  if (call.endedBy !== "deadline" || call.deadlineAt === undefined) return false;
  const own = ownMs(call);
  const isShort =
    (call.asked.qos.timeoutMs ?? own) < own || call.deadlineAt - beganAt < own * (1 - ON_THE_WAY);
  return isShort && performance.now() - beganAt < own;
}
