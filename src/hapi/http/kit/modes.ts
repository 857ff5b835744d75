// Words of the agents' settings that bodies may carry (HTTP contract, A7 and C3). Whether the session's agent knows one is the hub's to say.
import { z } from "zod";
import { ALL_PERMISSION_MODES } from "../../wire/flavours.ts";

export const permissionMode = z.string().refine((mode) => ALL_PERMISSION_MODES.has(mode));
export const collaborationMode = z.enum(["default", "plan"]);
export const copilotAgentMode = z.enum(["interactive", "plan", "autopilot"]);
export const serviceTier = z.enum(["fast", "standard"]);
