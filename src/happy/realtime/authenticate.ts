// Decides before a Socket.IO connection is accepted whether it may be, and what it is (realtime contract 2).
import { createHash } from "node:crypto";
import type { Socket } from "socket.io";
import { isIdentifier } from "../../limits/identifier.ts";
import { ConnectRefused } from "../../server/claimed-namespace.ts";
import type { Scope } from "../audience.ts";
import type { HappyContext } from "../context.ts";
import type { ConnectionFacts } from "./connection.ts";

/** The contract's texts, in the contract's order; first failing rule wins. */
export class Refused extends ConnectRefused {
  constructor(message: string) {
    super({ message });
  }
}

/**
 * Facts of a handshake.
 * @throws Refused with the text of the CONNECT_ERROR packet.
 */
export async function authenticate(
  handshake: Socket["handshake"],
  { tokens, revocations }: Pick<HappyContext, "tokens" | "revocations">,
): Promise<ConnectionFacts> {
  const auth: Record<string, unknown> = handshake.auth;
  const { token, clientType, appState, happyClient } = auth;
  if (!token) throw new Refused("Missing authentication token");
  const scope = scopeOf(auth);
  const claims = typeof token === "string" ? await tokens.verify(token) : undefined;
  // An app does not try again after this text, which is right for a token that is shut out; a CLI does every 3 s (contract 2.4).
  if (claims === undefined || revocations.refuses(claims)) throw new Refused("Invalid authentication token");
  const header = handshake.headers["x-happy-client"];
  const client = typeof happyClient === "string" && happyClient !== "" ? happyClient : header;
  return {
    account: claims.account,
    claims,
    scope,
    declaredType: typeof clientType === "string" ? clientType : undefined,
    client: typeof client === "string" && client !== "" ? client.slice(0, 200) : "unknown",
    focus: appState ? (appState === "active" ? "active" : "background") : undefined,
  };
}

/** Ids are not looked up: the account is part of every room name, so a foreign id reaches nothing (realtime contract 2.3). */
function scopeOf({ clientType, sessionId, machineId }: Record<string, unknown>): Scope {
  if (clientType === "session-scoped") {
    if (!sessionId) throw new Refused("Session ID required for session-scoped clients");
    return { kind: "session", sessionId: nameOf(sessionId, "Invalid session ID") };
  }
  if (clientType === "machine-scoped") {
    if (!machineId) throw new Refused("Machine ID required for machine-scoped clients");
    return { kind: "machine", machineId: nameOf(machineId, "Invalid machine ID") };
  }
  return { kind: "user" };
}

/** Whatever is claimed becomes a name. Not String: an object from a client can carry a `toString` that is no function. */
function nameOf(id: unknown, refusal: string): string {
  const name = typeof id === "string" ? id : JSON.stringify(id);
  // Two names that the database cannot tell apart would reach the same thing.
  if (!name.isWellFormed()) throw new Refused(refusal);
  // It names nothing that there is, and is kept in memory: something as nameless stands for it, too long to be registered.
  return isIdentifier(name) ? name : createHash("sha512").update(name).digest("hex");
}
