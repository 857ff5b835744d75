// What every deed of the hub stands on: its parts, what is known of sessions and machines that are there now, and their full objects.
import type { Logger } from "pino";
import type { Events } from "../events/event.ts";
import type { CliRooms } from "../realtime/rooms.ts";
import type { Rpc } from "../rpc/rpc.ts";
import type { HapiStore } from "../store/contract.ts";
import type { AppendedMessage, MachineRow, SessionKey, SessionRow } from "../store/rows.ts";
import { type MachineView, machineView } from "../wire/machine.ts";
import { type SessionView, sessionView } from "../wire/session.ts";
import type { SessionPatch } from "../wire/session-patches.ts";
import { LiveMachines } from "./live-machines.ts";
import { LiveSessions } from "./live-sessions.ts";

export interface HubParts {
  readonly store: HapiStore;
  readonly events: Events;
  readonly rooms: CliRooms;
  readonly rpc: Rpc;
  readonly log: Logger;
  /** Wall clock; Unix milliseconds. */
  readonly now?: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly steady?: () => number;
}

export class HubCore {
  readonly store: HapiStore;
  readonly events: Events;
  readonly rooms: CliRooms;
  readonly rpc: Rpc;
  readonly log: Logger;
  readonly now: () => number;
  readonly steady: () => number;
  readonly sessions = new LiveSessions();
  readonly machines = new LiveMachines();

  constructor({ store, events, rooms, rpc, log, now, steady }: HubParts) {
    this.store = store;
    this.events = events;
    this.rooms = rooms;
    this.rpc = rpc;
    this.log = log;
    this.now = now ?? Date.now;
    this.steady = steady ?? (() => performance.now());
  }

  sessionView(row: SessionRow): SessionView {
    return sessionView(row, this.sessions.presenceOf(row));
  }

  machineView(row: MachineRow): MachineView {
    return machineView(row, this.machines.presenceOf(row), this.machines.healthOf(row.id));
  }

  isActive(sessionId: string): boolean {
    return this.sessions.get(sessionId)?.presence.active === true;
  }

  /** The full object, after a change that has no patch. */
  tellSession(row: SessionRow): void {
    this.sessions.note(row);
    this.events.broadcast({
      type: "session-updated",
      namespace: row.namespace,
      sessionId: row.id,
      data: this.sessionView(row),
    });
  }

  tellPatch({ namespace, id }: SessionKey, data: SessionPatch): void {
    this.events.broadcast({ type: "session-updated", namespace, sessionId: id, data });
  }

  /** What a message changed of its session, before the message itself is told. */
  tellAround(key: SessionKey, { updatedAt, todos, team, session }: AppendedMessage): void {
    if (todos !== undefined) {
      this.tellPatch(key, { todos: { version: todos.at, value: todos.value }, updatedAt: todos.at });
    }
    if (team !== undefined) {
      this.tellPatch(key, { teamState: { version: team.at, value: team.value }, updatedAt: team.at });
    }
    if (todos === undefined && team === undefined && updatedAt !== undefined)
      this.tellPatch(key, { updatedAt });
    if (session !== undefined) this.tellSession(session);
  }

  tellMachine(row: MachineRow): void {
    this.events.broadcast({
      type: "machine-updated",
      namespace: row.namespace,
      machineId: row.id,
      data: this.machineView(row),
    });
  }

  /** For what nobody waits for. */
  inBackground(work: Promise<unknown>, what: string): void {
    work.catch((error: unknown) => this.log.warn({ err: error }, what));
  }
}
