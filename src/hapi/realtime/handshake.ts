// Who may connect (hapi-socket 3): a CLI by the access token, which names its namespace, a page by the token of its login. Texts are the
// contract's.
import type { Socket } from "socket.io";
import { isIdentifier } from "../../limits/identifier.ts";
import { ConnectRefused } from "../../server/claimed-namespace.ts";
import type { HubDeeds } from "./deeds.ts";
import type { Room } from "./rooms.ts";

export interface SocketAccess {
  /** The namespace that an access token is for; undefined when it is none of ours. Compares in constant time. */
  namespaceOf(token: string): string | undefined;
  /** What the token of a login claims; undefined when it is not signed by us, or has expired. */
  loginClaims(token: string): Promise<Readonly<Record<string, unknown>> | undefined>;
}

/** Of an accepted CLI. */
export interface CliFacts {
  readonly namespace: string;
  /** Those that it asked for and that are its namespace's. */
  readonly rooms: readonly Room[];
}

/** @throws ConnectRefused */
export async function cliConnecting(
  access: SocketAccess,
  deeds: Pick<HubDeeds, "sessionAbsence" | "machineAbsence">,
  handshake: Socket["handshake"],
): Promise<CliFacts> {
  const { token, sessionId, machineId } = authOf(handshake);
  const namespace = typeof token === "string" ? access.namespaceOf(token) : undefined;
  if (namespace === undefined) throw new ConnectRefused({ message: "Invalid token" });
  const rooms: Room[] = [];
  // What is not there, or another's, is no error: the socket is in no room.
  if (isId(sessionId) && (await deeds.sessionAbsence(namespace, sessionId)) === undefined)
    rooms.push({ session: sessionId });
  if (isId(machineId) && (await deeds.machineAbsence(namespace, machineId)) === undefined)
    rooms.push({ machine: machineId });
  return { namespace, rooms };
}

/** The namespace of a page. @throws ConnectRefused */
export async function pageConnecting(access: SocketAccess, handshake: Socket["handshake"]): Promise<string> {
  const { token } = authOf(handshake);
  if (typeof token !== "string" || token === "") throw new ConnectRefused({ message: "Missing token" });
  const claims = await access.loginClaims(token);
  if (claims === undefined) throw new ConnectRefused({ message: "Invalid token" });
  const { uid, ns } = claims;
  if (typeof uid !== "number" || typeof ns !== "string")
    throw new ConnectRefused({ message: "Invalid token payload" });
  return ns;
}

/** A client may send anything as what should be an object. */
function authOf({ auth }: Socket["handshake"]): Readonly<Record<string, unknown>> {
  return typeof auth === "object" && auth !== null ? auth : {};
}

const isId = (id: unknown): id is string => typeof id === "string" && id !== "" && isIdentifier(id);
