// Runs a process under a memory limit as the shipped unit does: in a control group where the machine lets us make one, where the
// kernel kills what passes it; else with a watch on the most that the process ever had resident.
import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memoryOf } from "../faults/server-process.ts";
import { noteLesser } from "./needs.ts";

/** What the unit of `roost service install` permits. */
export const UNIT_MEMORY_BYTES = 512 * 1024 * 1024;

export interface MemoryLimit {
  /** `cgroup`: the kernel holds it. `watch`: only `peak` can be judged. */
  readonly kind: "cgroup" | "watch";
  /** Words before the command, for `startProcess`. The process keeps its id. */
  readonly wrapper: readonly string[];
  /** How often the kernel killed for want of memory; 0 where it only watches. */
  kills(): number;
  /** After the process has ended. */
  release(): void;
}

export function memoryLimit(bytes: number = UNIT_MEMORY_BYTES): MemoryLimit {
  const limit = cgroup(bytes);
  if (limit !== undefined) return limit;
  noteLesser("control groups of memory", "attacked servers are watched instead of limited");
  return { kind: "watch", wrapper: [], kills: () => 0, release: () => {} };
}

/** The most that a process had resident so far. @throws Error where the system does not tell. */
export function peakBytes(pid: number): number {
  const memory = memoryOf(pid);
  if (memory === undefined) throw new Error("this system does not tell how much memory a process has");
  return memory.peak;
}

interface Hierarchy {
  readonly root: string;
  readonly limit: readonly (readonly [file: string, value: string])[];
  readonly events: string;
}

function hierarchies(bytes: number): Hierarchy[] {
  return [
    {
      root: "/sys/fs/cgroup",
      limit: [
        ["memory.max", `${bytes}`],
        ["memory.swap.max", "0"],
      ],
      events: "memory.events",
    },
    {
      root: "/sys/fs/cgroup/memory",
      limit: [["memory.limit_in_bytes", `${bytes}`]],
      events: "memory.oom_control",
    },
  ];
}

function cgroup(bytes: number): MemoryLimit | undefined {
  if (process.platform !== "linux") return undefined;
  for (const { root, limit, events } of hierarchies(bytes)) {
    const folder = join(root, `roost-test-${process.pid}-${crypto.randomUUID().slice(0, 8)}`);
    try {
      accessSync(join(root, "cgroup.procs"), constants.W_OK);
      mkdirSync(folder);
    } catch {
      continue;
    }
    try {
      for (const [file, value] of limit) {
        // A machine without swap has no limit of it.
        if (file !== "memory.swap.max" || exists(join(folder, file)))
          writeFileSync(join(folder, file), value);
      }
    } catch {
      rmdirSync(folder);
      continue;
    }
    return {
      kind: "cgroup",
      wrapper: ["sh", "-c", `echo $$ > '${folder}/cgroup.procs' && exec "$@"`, "sh"],
      kills: () => Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(folder, events), "utf8"))?.[1] ?? 0),
      release: () => {
        try {
          rmdirSync(folder);
        } catch {
          // The kernel keeps it until the last process is gone.
        }
      },
    };
  }
  return undefined;
}

function exists(file: string): boolean {
  try {
    accessSync(file);
    return true;
  } catch {
    return false;
  }
}
