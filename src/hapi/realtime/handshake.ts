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
  /** Wrong access tokens by address; without it anybody may guess. */
  readonly guesses?: {
    /** Undefined: a token from there is looked at now. */
    waitMs(address: string): number | undefined;
    note(address: string, token: string): void;
  };
}

/** Not even a right token is looked at. Its client must come back by itself, so that the connection has to end too. */
export class TooManyGuesses extends ConnectRefused {
  constructor() {
    super({ message: "Too many wrong tokens. Try again in a minute." });
  }
}

/** Of an accepted CLI. */
export interface CliFacts {
  readonly namespace: string;
  /** Those that it asked for and that are its namespace's. */
  readonly rooms: readonly Room[];
}

/** @throws ConnectRefused, TooManyGuesses */
export async function cliConnecting(
  access: SocketAccess,
  deeds: Pick<HubDeeds, "sessionAbsence" | "machineAbsence">,
  handshake: Socket["handshake"],
  address: string,
): Promise<CliFacts> {
  const { token, sessionId, machineId } = authOf(handshake);
  const namespace = typeof token === "string" ? proven(access, token, address) : undefined;
  if (namespace === undefined) throw new ConnectRefused({ message: "Invalid token" });
  const rooms: Room[] = [];
  // What is not there, or another's, is no error: the socket is in no room.
  if (isId(sessionId) && (await deeds.sessionAbsence(namespace, sessionId)) === undefined)
    rooms.push({ session: sessionId });
  if (isId(machineId) && (await deeds.machineAbsence(namespace, machineId)) === undefined)
    rooms.push({ machine: machineId });
  return { namespace, rooms };
}

function proven(access: SocketAccess, token: string, address: string): string | undefined {
  const { guesses } = access;
  if (guesses?.waitMs(address) !== undefined) throw new TooManyGuesses();
  const namespace = access.namespaceOf(token);
  if (namespace === undefined) guesses?.note(address, token);
  return namespace;
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
