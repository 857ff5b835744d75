// The machines whose runner is heard now, with the figures that it reports: those are kept in memory only.
import type { MachinePresence, MachineRow } from "../store/rows.ts";
import type { MachineHealth } from "../wire/machine.ts";

export interface LiveMachine {
  readonly id: string;
  readonly namespace: string;
  presence: MachinePresence;
  health: MachineHealth | null;
  /** Monotonic: the last keep-alive, and the last one that was told. */
  heardAt: number;
  toldAt: number;
}

export class LiveMachines {
  readonly #byId = new Map<string, LiveMachine>();

  get(id: string): LiveMachine | undefined {
    return this.#byId.get(id);
  }

  get all(): Iterable<LiveMachine> {
    return this.#byId.values();
  }

  add(
    { id, namespace, presence }: Pick<MachineRow, "id" | "namespace" | "presence">,
    heardAt: number,
  ): LiveMachine {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const live: LiveMachine = {
      id,
      namespace,
      presence: { active: false, activeAt: presence.activeAt },
      health: null,
      heardAt,
      toldAt: Number.NEGATIVE_INFINITY,
    };
    this.#byId.set(id, live);
    return live;
  }

  delete(id: string): void {
    this.#byId.delete(id);
  }

  presenceOf({ id, presence }: MachineRow): MachinePresence {
    return this.#byId.get(id)?.presence ?? { active: false, activeAt: presence.activeAt };
  }

  healthOf(id: string): MachineHealth | null {
    return this.#byId.get(id)?.health ?? null;
  }
}
