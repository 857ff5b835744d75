// Whether a machine's runner is heard, as it says every 20 s (hapi-socket 10). Coming and going are stored before they are told; the
// figures of its health are not stored at all.
import type { Denied, MachinePresence, MachineRow } from "../store/rows.ts";
import { machineHealth, sameHealth } from "../wire/machine.ts";
import { claimedTime, MACHINE_GONE_MS, TELL_AGAIN_MS } from "../wire/presence-rules.ts";
import type { HubCore } from "./core.ts";
import type { LiveMachine } from "./live-machines.ts";
import { SkewedClocks } from "./skewed-clocks.ts";

export interface MachineAlive {
  readonly namespace: string;
  readonly machineId: string;
  readonly time: number;
  readonly health?: unknown;
}

export class MachinePresenceKeeper {
  readonly #clocks = new SkewedClocks();

  constructor(private readonly core: HubCore) {}

  async alive({ namespace, machineId, time, health }: MachineAlive): Promise<"ok" | Denied> {
    const { core } = this;
    let live = core.machines.get(machineId);
    if (live === undefined) {
      const row = await core.store.findMachine({ namespace, id: machineId });
      if (typeof row === "string") return row;
      const at = this.#timeOf(machineId, time);
      if (at === undefined) return "ok";
      live = core.machines.add(row, core.steady());
      this.#hear(live, at, health);
      return "ok";
    }
    if (live.namespace !== namespace) return "access-denied";
    const at = this.#timeOf(machineId, time);
    if (at !== undefined) this.#hear(live, at, health);
    return "ok";
  }

  #timeOf(id: string, time: number): number | undefined {
    const now = this.core.now();
    return claimedTime(time, now) ?? (this.#clocks.isNow(id, time, this.core.steady()) ? now : undefined);
  }

  /** Its runner wrote what it does, which is as good as a keep-alive (hapi-socket 9). Whoever stored it tells it. */
  wrote(row: MachineRow): void {
    const { core } = this;
    const live = core.machines.add(row, core.steady());
    const wasActive = live.presence.active;
    live.heardAt = core.steady();
    live.presence = { active: true, activeAt: Math.max(live.presence.activeAt, core.now()) };
    live.toldAt = live.heardAt;
    if (!wasActive) this.#store([live], () => undefined);
  }

  #hear(live: LiveMachine, at: number, health: unknown): void {
    const now = this.core.steady();
    const wasActive = live.presence.active;
    live.heardAt = now;
    live.presence = { active: true, activeAt: Math.max(live.presence.activeAt, at) };
    const figures = health === undefined ? live.health : machineHealth(health);
    const isChanged = !sameHealth(figures, live.health);
    live.health = figures;
    if (wasActive && !isChanged && now - live.toldAt <= TELL_AGAIN_MS) return;
    live.toldAt = now;
    const tell = () => this.core.inBackground(this.#tell(live), "a machine could not be told of");
    if (wasActive) tell();
    else this.#store([live], tell);
  }

  async #tell({ id, namespace }: LiveMachine): Promise<void> {
    const row = await this.core.store.findMachine({ namespace, id });
    if (typeof row !== "string" && this.core.machines.get(id) !== undefined) this.core.tellMachine(row);
  }

  #store(
    machines: readonly { readonly id: string; readonly presence: MachinePresence }[],
    announce: () => void,
  ) {
    const rows = machines.map(({ id, presence }) => ({ id, presence }));
    this.core.inBackground(
      this.core.store.storePresence({ machines: rows }, announce),
      "the presence of a machine could not be stored",
    );
  }

  /** As stored before the restart, with the whole grace to be heard in. */
  restore(machine: {
    readonly id: string;
    readonly namespace: string;
    readonly presence: MachinePresence;
  }): void {
    const live = this.core.machines.add(machine, this.core.steady());
    live.presence = machine.presence;
  }

  sweep(): void {
    const { core } = this;
    const now = core.steady();
    this.#clocks.forget(now);
    const gone = [...core.machines.all].filter(({ heardAt }) => now - heardAt > MACHINE_GONE_MS);
    if (gone.length === 0) return;
    for (const live of gone) {
      core.machines.delete(live.id);
      live.presence = { ...live.presence, active: false };
    }
    this.#store(gone, () => {
      for (const { id, namespace } of gone) {
        core.events.broadcast({ type: "machine-updated", namespace, machineId: id, data: { active: false } });
      }
    });
  }
}
