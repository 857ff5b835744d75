// Machines as they register, are listed and named (hapi-http-sse A10, C3).
import type { MachineRow, RegisterMachine, SessionKey } from "../store/rows.ts";
import type { MachineView } from "../wire/machine.ts";
import { isObject } from "../wire/shape.ts";
import type { HubCore } from "./core.ts";
import { DONE, denial, type Result, refusal } from "./result.ts";

export class Machines {
  constructor(private readonly core: HubCore) {}

  /** Also told when nothing changed: a runner that comes back is there again. */
  async register(machine: RegisterMachine): Promise<Result<{ readonly machine: MachineView }>> {
    const registered = await this.core.store.registerMachine(machine, (result) => {
      if (result !== "access-denied") this.core.tellMachine(result.row);
    });
    return registered === "access-denied"
      ? denial("machine", registered)
      : { ok: true, machine: this.core.machineView(registered.row) };
  }

  async find(key: SessionKey): Promise<Result<{ readonly row: MachineRow; readonly isActive: boolean }>> {
    const row = await this.core.store.findMachine(key);
    return typeof row === "string"
      ? denial("machine", row)
      : { ok: true, row, isActive: this.core.machines.get(row.id)?.presence.active === true };
  }

  async view(key: SessionKey): Promise<Result<{ readonly machine: MachineView }>> {
    const found = await this.find(key);
    return found.ok ? { ok: true, machine: this.core.machineView(found.row) } : found;
  }

  /** Those that are there now. */
  async listActive(namespace: string): Promise<readonly MachineView[]> {
    const rows = await this.core.store.listMachines(namespace);
    return rows.map((row) => this.core.machineView(row)).filter(({ active }) => active);
  }

  /** Empty takes the name away. Only this key of the stored metadata changes. */
  async rename(key: SessionKey, displayName: string): Promise<Result> {
    const name = displayName === "" ? undefined : displayName;
    const edited = await this.core.store.editMachineMetadata(
      {
        key,
        edit: (stored) => {
          const { displayName: _, ...rest } = isObject(stored) ? stored : {};
          return name === undefined ? rest : { ...rest, displayName: name };
        },
      },
      (result) => {
        if (typeof result !== "string" && result.kind === "changed") this.core.tellMachine(result.row);
      },
    );
    if (typeof edited === "string") return denial("machine", edited);
    return edited.kind === "conflict"
      ? refusal("conflict", "Machine was modified concurrently. Please try again.")
      : DONE;
  }

  /** It was deleted. */
  forget({ namespace, id }: SessionKey): void {
    this.core.machines.delete(id);
    this.core.events.broadcast({ type: "machine-updated", namespace, machineId: id, data: null });
  }
}
