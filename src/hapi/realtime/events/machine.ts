// Life of a machine, and the little that its runner tells beside.
import { z } from "zod";
import { cliEvent } from "../connection.ts";
import type { Room } from "../rooms.ts";
import { id } from "./shapes.ts";

const subject = ({ machineId }: { readonly machineId: string }): Room => ({ machine: machineId });

export const machineAlive = cliEvent("machine-alive", {
  schema: z.object({ machineId: id, time: z.number(), health: z.unknown().optional() }),
  subject,
  handle: ({ deeds, from }, { machineId, time, health }) =>
    deeds.machineAlive(from, { machineId, time, health }),
});

export const agyModelsChanged = cliEvent("machine-agy-models-changed", {
  schema: z.object({ machineId: id }),
  subject,
  handle: ({ deeds, from }, { machineId }) => deeds.agyModelsChanged(from, machineId),
});
