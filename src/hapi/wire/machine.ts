// A machine as clients see it. The CLI refuses one whose metadata lacks a host, a platform or a version, and a runner state without a
// status, so those are shown as null then; unknown keys pass through (hapi-socket 5, hapi-http-sse A6).
import type { MachinePresence, MachineRow } from "../store/rows.ts";
import {
  fits,
  isNumber,
  isObject,
  isString,
  type JsonObject,
  listOf,
  orNull,
  type Shape,
  shaped,
} from "./shape.ts";

export interface MachineMetadata extends JsonObject {
  readonly host: string;
  readonly platform: string;
  readonly happyCliVersion: string;
  readonly displayName?: string;
  readonly workspaceRoots?: readonly string[];
  readonly capabilities?: readonly string[];
}

export interface MachineHealth {
  readonly collectedAt: number;
  readonly cpuCount?: number;
  readonly load1m?: number;
  readonly cpuPercent?: number;
  readonly memoryPercent?: number;
  readonly uptimeSeconds?: number;
}

export interface MachineView {
  readonly id: string;
  readonly namespace: string;
  readonly seq: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly active: boolean;
  readonly activeAt: number;
  readonly metadata: MachineMetadata | null;
  readonly metadataVersion: number;
  readonly runnerState: JsonObject | null;
  readonly runnerStateVersion: number;
  readonly health: MachineHealth | null;
}

const REQUIRED: Shape = { host: isString, platform: isString, happyCliVersion: isString };
const OPTIONAL: Shape = {
  displayName: isString,
  homeDir: isString,
  happyHomeDir: isString,
  happyLibDir: isString,
  workspaceRoots: listOf(isString),
  capabilities: listOf(isString),
  startedCliMtimeMs: isNumber,
  installedCliMtimeMs: isNumber,
  supervisedRestart: (value) => typeof value === "boolean",
};

/** Null when the stored value is not metadata as clients know it. */
export function machineMetadataView(stored: unknown): MachineMetadata | null {
  if (!isObject(stored) || !fits(stored, REQUIRED, OPTIONAL)) return null;
  const metadata = stored as MachineMetadata;
  const { workspaceRoots, ...rest } = metadata;
  if (workspaceRoots === undefined) return metadata;
  const roots = [...new Set(workspaceRoots.map((root) => root.trim()).filter((root) => root !== ""))];
  return (roots.length === 0 ? rest : { ...rest, workspaceRoots: roots }) as MachineMetadata;
}

const RUNNER: Shape = {
  pid: isNumber,
  httpPort: isNumber,
  startedAt: isNumber,
  shutdownRequestedAt: isNumber,
  shutdownSource: isString,
  lastSpawnError: orNull(
    shaped({ message: isString, at: isNumber }, { pid: isNumber, exitCode: isNumber, signal: isString }),
  ),
  capabilities: isObject,
};

/** Null when none was set or it has no status. */
export const runnerStateView = (stored: unknown): JsonObject | null =>
  isObject(stored) && fits(stored, { status: isString }, RUNNER) ? stored : null;

const atLeastZero = (value: unknown) => isNumber(value) && (value as number) >= 0;
const percent = (value: unknown) => atLeastZero(value) && (value as number) <= 100;
const HEALTH: Shape = {
  cpuCount: (value) => Number.isSafeInteger(value) && (value as number) > 0,
  load1m: atLeastZero,
  cpuPercent: percent,
  memoryPercent: percent,
  uptimeSeconds: atLeastZero,
};
const HEALTH_KEYS = ["collectedAt", ...Object.keys(HEALTH)] as const;

/** As reported with a keep-alive: whatever is no figure makes it null, and so does a key that is none of them. */
export function machineHealth(reported: unknown): MachineHealth | null {
  if (!isObject(reported) || !fits(reported, { collectedAt: isNumber }, HEALTH)) return null;
  const isKnown = Object.keys(reported).every((key) => (HEALTH_KEYS as readonly string[]).includes(key));
  return isKnown ? ({ ...reported } as unknown as MachineHealth) : null;
}

/** Whether two reports say the same, the moment at which they were made aside. */
export const sameHealth = (a: MachineHealth | null, b: MachineHealth | null): boolean =>
  a === b ||
  (a !== null &&
    b !== null &&
    HEALTH_KEYS.every((key) => key === "collectedAt" || a[key as "load1m"] === b[key as "load1m"]));

export const machineView = (
  row: MachineRow,
  { active, activeAt }: MachinePresence,
  health: MachineHealth | null,
): MachineView => ({
  id: row.id,
  namespace: row.namespace,
  seq: row.seq,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
  active,
  activeAt,
  metadata: machineMetadataView(row.metadata),
  metadataVersion: row.metadataVersion,
  runnerState: runnerStateView(row.runnerState),
  runnerStateVersion: row.runnerStateVersion,
  health,
});

const CAN_SAY_WHICH_AGENTS = "agent-availability";

/** A runner that cannot be asked for its agents is too old to create sessions. */
export const mustBeUpgraded = (metadata: unknown): boolean =>
  !(
    isObject(metadata) &&
    Array.isArray(metadata.capabilities) &&
    metadata.capabilities.includes(CAN_SAY_WHICH_AGENTS)
  );
