// What the claims of a Socket.IO path say of an HTTP request, before anybody knows which namespace its client wants.
import type { PacketGate } from "./packet-gate.ts";
import type { RequestFacts } from "./request-facts.ts";
import type { ConnectRefusal, NamespaceClaim, Refusals, ServedClaims } from "./socket-claims.ts";
import { allowsOrigin } from "./socket-cors.ts";

export const NO_REFUSALS: Refusals = new Map();
const FOREIGN_ORIGIN: ConnectRefusal = { message: "Origin not allowed" };

/**
 * The answer to a request that nobody wants, in the words of the first that has one, or of whom it speaks to alone; else which claims do
 * not want it, and refuse when its client asks for them. A claim that is alone speaks about every request; of several, each only about a
 * request that opens a connection or is one of its own sockets'.
 */
export async function refusalsOf(
  request: Request,
  facts: RequestFacts,
  claims: ServedClaims,
  gate: PacketGate | undefined,
): Promise<Response | Refusals> {
  const { closed, hasSeveral } = claims;
  const isOpen = gate !== undefined && hasSeveral;
  const refusals = new Map<NamespaceClaim, ConnectRefusal>();
  const answers: Response[] = [];
  for (const claim of isOpen ? closed.filter((one) => gate.concerns(one)) : closed) {
    const refused = await claim.refuses?.(request, facts);
    if (refused?.isOurs === true) return refused.answer;
    if (refused !== undefined) {
      answers.push(refused.answer);
      refusals.set(claim, refused.refusal);
    } else if (hasSeveral && !allowsOrigin(claim.cors, request, facts))
      refusals.set(claim, claim.foreignOrigin ?? FOREIGN_ORIGIN);
  }
  const [first] = answers;
  return first !== undefined && (isOpen || refusals.size === closed.length) ? first : refusals;
}
