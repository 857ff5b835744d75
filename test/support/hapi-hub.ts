// A HAPI hub on a real store, with doubles for what is around it: they note what is broadcast and sent to CLIs, in one order, and answer
// as a test wants. Both clocks stand still until a test moves them.
import type { Events, HubEvent } from "../../src/hapi/events/event.ts";
import { Hub } from "../../src/hapi/hub/hub.ts";
import type { CliRooms, Room, UpdateEnvelope } from "../../src/hapi/realtime/rooms.ts";
import { type Rpc, RpcFailure } from "../../src/hapi/rpc/rpc.ts";
import type { HapiStore } from "../../src/hapi/store/contract.ts";
import { createLog } from "../../src/observability/log.ts";
import { openTestHapiStore, type TestHapiStore } from "./hapi-store.ts";

export const PLACE = { path: "/home/u/demo", host: "devbox", flavor: "claude" };
export const RUNNER = {
  host: "devbox",
  platform: "linux",
  happyCliVersion: "0.30.7",
  capabilities: ["agent-availability"],
};

type Told = { readonly to: "web"; readonly event: HubEvent } | Sent;
interface Sent {
  readonly to: Room;
  readonly envelope: UpdateEnvelope;
  readonly except: object | undefined;
}

export class TestHub {
  readonly hub: Hub;
  /** Everything that left, in its order. */
  readonly told: Told[] = [];
  /** Rooms with a CLI in them, and what it acknowledges. */
  readonly rooms = new Map<string, (envelope: UpdateEnvelope) => unknown>();
  /** Answers by method; a function gets the parameters. */
  readonly rpc = new Map<string, unknown>();
  readonly called: [method: string, params: unknown][] = [];
  /** Lines of the log at warn and above. */
  readonly lines: string[] = [];
  wall = Date.now();
  steady = 1_000_000;

  constructor(
    readonly all: TestHapiStore,
    store: HapiStore = all.store,
  ) {
    const events: Events = {
      broadcast: (event) => this.told.push({ to: "web", event: JSON.parse(JSON.stringify(event)) }),
      toast: () => 0,
      isLookedAt: () => false,
    };
    const rooms: CliRooms = {
      update: (to, envelope, except) =>
        this.told.push({ to, envelope: JSON.parse(JSON.stringify(envelope)), except }),
      ask: async (room, envelope) => {
        this.told.push({ to: room, envelope, except: undefined });
        return this.rooms.get(room.session)?.(envelope);
      },
      isConnected: (room) => this.rooms.has("session" in room ? room.session : room.machine),
    };
    const rpc: Rpc = {
      call: async (id, name, params) => {
        const method = `${id}:${name}`;
        if (!this.rpc.has(method)) throw new RpcFailure(`RPC handler not registered: ${method}`);
        const sent = JSON.parse(JSON.stringify(params));
        this.called.push([method, sent]);
        const answer = this.rpc.get(method);
        return typeof answer === "function" ? answer(sent) : answer;
      },
    };
    const log = createLog("warn", { write: (line: string) => this.lines.push(line) });
    this.hub = new Hub({ store, events, rooms, rpc, log, now: () => this.wall, steady: () => this.steady });
  }

  get store(): HapiStore {
    return this.all.store;
  }

  pass(ms: number): void {
    this.wall += ms;
    this.steady += ms;
  }

  async session(tag = "t", metadata: unknown = PLACE, namespace = "default"): Promise<string> {
    const id = await this.all.session(tag, namespace, metadata);
    // The store reads the real clock.
    this.wall = Math.max(this.wall, Date.now());
    return id;
  }

  /** Its CLI says that it is there. */
  async alive(sid: string, more: Record<string, unknown> = {}, namespace = "default"): Promise<void> {
    await this.hub.sessionPresence.alive({ namespace, sid, time: this.wall, thinking: false, ...more });
    await this.settled();
  }

  async machine(id = "m1", metadata: unknown = RUNNER, namespace = "default"): Promise<void> {
    await this.store.registerMachine({ namespace, id, metadata });
    await this.hub.machinePresence.alive({ namespace, machineId: id, time: this.wall });
    await this.settled();
  }

  /** Everything that was begun is stored and told. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) {
      await this.store.settled();
      await Bun.sleep(0);
    }
  }

  /** What web clients were told since the last look. */
  web(): HubEvent[] {
    const events = this.told.flatMap((one) => (one.to === "web" ? [one.event] : []));
    this.told.length = 0;
    return events;
  }

  /** Type and, of a patch, its data; a full object is `full`. */
  short(): unknown[] {
    return this.web().map((event) => {
      if (!("data" in event) || event.data === null) return event.type;
      return [event.type, "id" in event.data ? "full" : event.data];
    });
  }

  /** What CLIs were sent since the last look. */
  cli(): Sent[] {
    const sent = this.told.flatMap((one) => (one.to === "web" ? [] : [one]));
    this.told.length = 0;
    return sent;
  }
}

export function openTestHub(): TestHub {
  return new TestHub(openTestHapiStore());
}
