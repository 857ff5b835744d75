// The hub: everything that changes something, one function a deed, called by HTTP routes and socket handlers alike. Its subjects share
// what is known of who is there; each is a file of its own.
import { SWEEP_MS } from "../wire/presence-rules.ts";
import { AgentDeeds } from "./agent-deeds.ts";
import { Clearing } from "./clear.ts";
import { Config } from "./config.ts";
import { HubCore, type HubParts } from "./core.ts";
import { Forking } from "./fork.ts";
import { Handoff } from "./handoff.ts";
import { CodexImports } from "./imports/codex.ts";
import { Imports } from "./imports/imports.ts";
import { PiImports } from "./imports/pi.ts";
import { Lifecycle } from "./lifecycle.ts";
import { MachinePresenceKeeper } from "./machine-presence.ts";
import { Machines } from "./machines.ts";
import { Merging } from "./merging.ts";
import { Messages } from "./messages.ts";
import { OpencodeClearing } from "./opencode-clear.ts";
import { Permissions } from "./permissions.ts";
import { MessageQueue } from "./queue.ts";
import { Resuming } from "./resume.ts";
import { Rewinding } from "./rewind.ts";
import { ScheduledMessages } from "./scheduled.ts";
import { SessionCalls } from "./session-calls.ts";
import { SessionPresenceKeeper } from "./session-presence.ts";
import { Sessions } from "./sessions.ts";
import { Spawning } from "./spawn.ts";
import { Steering } from "./steering.ts";
import { VersionedValues } from "./versioned.ts";

/** A tick that comes later than this says that the process stood still: what it was sent meanwhile is read first. */
const STOOD_STILL_MS = 2 * SWEEP_MS;

export class Hub {
  readonly core: HubCore;
  readonly sessionPresence: SessionPresenceKeeper;
  readonly machinePresence: MachinePresenceKeeper;
  readonly sessions: Sessions;
  readonly machines: Machines;
  readonly values: VersionedValues;
  readonly messages: Messages;
  readonly queue: MessageQueue;
  readonly steering: Steering;
  readonly rewinding: Rewinding;
  readonly scheduled: ScheduledMessages;
  readonly lifecycle: Lifecycle;
  readonly config: Config;
  readonly agents: AgentDeeds;
  readonly merging: Merging;
  readonly permissions: Permissions;
  readonly calls: SessionCalls;
  readonly spawning: Spawning;
  readonly resuming: Resuming;
  readonly handoff: Handoff;
  readonly forking: Forking;
  readonly clearing: Clearing;
  readonly opencodeClearing: OpencodeClearing;
  readonly codexImports: CodexImports;
  readonly piImports: PiImports;

  #timer: Timer | undefined;
  #tickedAt = 0;
  #isTicking = false;

  constructor(parts: HubParts) {
    const core = new HubCore(parts);
    const merging = new Merging(core);
    this.merging = merging;
    this.core = core;
    this.sessionPresence = new SessionPresenceKeeper(core, merging);
    this.machinePresence = new MachinePresenceKeeper(core);
    this.sessions = new Sessions(core);
    this.machines = new Machines(core);
    this.values = new VersionedValues(core, this.machinePresence, merging);
    this.messages = new Messages(core, this.sessionPresence);
    this.queue = new MessageQueue(core, this.sessionPresence);
    this.steering = new Steering(core, this.queue);
    this.rewinding = new Rewinding(core);
    this.scheduled = new ScheduledMessages(core);
    this.lifecycle = new Lifecycle(core, merging);
    this.config = new Config(core);
    this.agents = new AgentDeeds(core, this.config);
    this.permissions = new Permissions(core);
    this.calls = new SessionCalls(core);
    this.spawning = new Spawning(core);
    this.resuming = new Resuming({ core, merging, spawning: this.spawning });
    this.handoff = new Handoff(core);
    this.forking = new Forking({ core, sessions: this.sessions, spawning: this.spawning });
    this.clearing = new Clearing({ core, resuming: this.resuming });
    this.opencodeClearing = new OpencodeClearing({
      core,
      sessions: this.sessions,
      spawning: this.spawning,
    });
    const imports = new Imports(core);
    this.codexImports = new CodexImports(imports, this.sessions);
    this.piImports = new PiImports(imports, this.sessions);
  }

  /** Who was there before the restart is there until the grace is over. To be called before anybody is served. */
  async start(): Promise<void> {
    const { sessions, machines } = await this.core.store.listPresent();
    for (const machine of machines) this.machinePresence.restore(machine);
    const rows = await Promise.all(sessions.map(({ id }) => this.core.store.findAnySession(id)));
    for (const row of rows) if (row !== undefined) this.sessionPresence.restore(row);
    this.#tickedAt = this.core.steady();
    this.#timer = setInterval(
      () => this.core.inBackground(this.tick(), "a tick of the hub failed"),
      SWEEP_MS,
    );
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.core.sessions.stop();
  }

  /** Who is gone, and what is due. */
  async tick(): Promise<void> {
    const now = this.core.steady();
    const stoodStill = now - this.#tickedAt > STOOD_STILL_MS;
    this.#tickedAt = now;
    if (!stoodStill) {
      this.sessionPresence.sweep();
      this.machinePresence.sweep();
    }
    if (this.#isTicking) return;
    this.#isTicking = true;
    try {
      await this.scheduled.tick();
    } finally {
      this.#isTicking = false;
    }
  }
}
