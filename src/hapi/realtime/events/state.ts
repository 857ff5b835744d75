// The four values that are changed by compare-and-swap (hapi-socket 9). The hub answers before it announces; what is not read, not there
// or not stored is an error in the acknowledgement, and nowhere else.
import { z } from "zod";
import { type CliEvent, cliEvent } from "../connection.ts";
import type { Answer, HubDeeds, Sender, ValueWish } from "../deeds.ts";
import { id, present } from "./shapes.ts";

const failure = { result: "error" };
const expectedVersion = z.number().int();

type Deed = (deeds: HubDeeds, from: Sender, wish: ValueWish, answer: Answer) => Promise<void>;

function change(event: string, schema: z.ZodType<ValueWish>, deed: Deed): CliEvent {
  return cliEvent(event, {
    schema,
    failure,
    handle: ({ deeds, from }, wish, ack) => deed(deeds, from, wish, ack),
  });
}

export const valueChanges: readonly CliEvent[] = [
  change(
    "update-metadata",
    z
      .object({ sid: id, expectedVersion, metadata: present })
      .transform(({ sid, expectedVersion, metadata }) => ({ id: sid, expectedVersion, value: metadata })),
    (deeds, ...wish) => deeds.updateMetadata(...wish),
  ),
  change(
    "update-state",
    z
      .object({ sid: id, expectedVersion, agentState: present })
      .transform(({ sid, expectedVersion, agentState }) => ({ id: sid, expectedVersion, value: agentState })),
    (deeds, ...wish) => deeds.updateAgentState(...wish),
  ),
  change(
    "machine-update-metadata",
    z
      .object({ machineId: id, expectedVersion, metadata: present })
      .transform(({ machineId, expectedVersion, metadata }) => ({
        id: machineId,
        expectedVersion,
        value: metadata,
      })),
    (deeds, ...wish) => deeds.updateMachineMetadata(...wish),
  ),
  change(
    "machine-update-state",
    z
      .object({ machineId: id, expectedVersion, runnerState: present })
      .transform(({ machineId, expectedVersion, runnerState }) => ({
        id: machineId,
        expectedVersion,
        value: runnerState,
      })),
    (deeds, ...wish) => deeds.updateRunnerState(...wish),
  ),
];
