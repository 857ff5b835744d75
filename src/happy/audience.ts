// Who hears what: rooms of the Happy sockets and the recipient filters over them (realtime contract 3).
// The account is part of every room name, so nothing crosses accounts.

/** A set of rooms; a socket in several of them hears once. */
export type Audience = readonly string[];

export const everySocket = (account: string) => `user:${account}`;
const userRoom = (account: string) => `user:${account}:user-scoped`;
const sessionRoom = (account: string, session: string) => `user:${account}:session:${session}`;
const machineRoom = (account: string, machine: string) => `user:${account}:machine:${machine}`;

export type Scope =
  | { readonly kind: "user" }
  | { readonly kind: "session"; readonly sessionId: string }
  | { readonly kind: "machine"; readonly machineId: string };

/** Rooms that a connection of this scope joins. */
export function roomsOf(account: string, scope: Scope): string[] {
  const all = everySocket(account);
  if (scope.kind === "session") return [all, sessionRoom(account, scope.sessionId)];
  if (scope.kind === "machine") return [all, machineRoom(account, scope.machineId)];
  return [all, userRoom(account)];
}

export const userScoped = (account: string): Audience => [userRoom(account)];

export const interestedInSession = (account: string, session: string): Audience => [
  userRoom(account),
  sessionRoom(account, session),
];

export const machineAndUser = (account: string, machine: string): Audience => [
  userRoom(account),
  machineRoom(account, machine),
];
