// Life of a machine, and the little that its runner tells beside.
import { z } from "zod";
import { cliEvent } from "../connection.ts";
import type { Room } from "../rooms.ts";
import { id } from "./shapes.ts";

const subject = ({ machineId }: { readonly machineId: string }): Room => ({ machine: machineId });

const figure = z.number().optional().catch(undefined);
const health = z
  .object({
    collectedAt: figure,
    cpuCount: figure,
    load1m: figure,
    cpuPercent: figure,
    memoryPercent: figure,
    uptimeSeconds: figure,
  })
  .optional()
  .catch(undefined);

export const machineAlive = cliEvent("machine-alive", {
  schema: z.object({ machineId: id, time: z.number(), health }),
  subject,
  handle: ({ deeds, from }, { machineId, time, health }) =>
    deeds.machineAlive(from, { machineId, time, health: health && known(health) }),
});

export const agyModelsChanged = cliEvent("machine-agy-models-changed", {
  schema: z.object({ machineId: id }),
  subject,
  handle: ({ deeds, from }, { machineId }) => deeds.agyModelsChanged(from, machineId),
});

/** Without what was not told. */
function known(figures: Readonly<Record<string, number | undefined>>): Record<string, number> {
  const entries = Object.entries(figures).filter(
    (entry): entry is [string, number] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}
