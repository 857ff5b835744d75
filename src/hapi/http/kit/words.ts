// Short texts that bodies carry: ids, names, and words of the agents' settings (HTTP contract, A7 and C3). Whether the session's agent
// knows a word is the hub's to say.
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";
import { ALL_PERMISSION_MODES } from "../../wire/flavours.ts";

/** Of a client's making: a tag, a localId, a machine. */
export const id = identifier.min(1);

/** A model, an effort. */
const MAX_WORD = 512;
export const word = z.string().max(MAX_WORD);

export const permissionMode = z.string().refine((mode) => ALL_PERMISSION_MODES.has(mode));
export const collaborationMode = z.enum(["default", "plan"]);
export const copilotAgentMode = z.enum(["interactive", "plan", "autopilot"]);
export const serviceTier = z.enum(["fast", "standard"]);
