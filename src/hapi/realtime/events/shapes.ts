// What payloads of /cli have in common. Optional members of a wrong type count as absent: an older or newer CLI must not be refused for
// them, and nothing unchecked gets further (hapi-socket 1 and 17.4).
import { z } from "zod";
import { identifier } from "../../../limits/identifier.ts";

export const id = identifier.min(1);

/** A mode, a model, an effort: short texts. */
const MAX_WORD = 512;

export const word = z.string().max(MAX_WORD).optional().catch(undefined);
export const nullableWord = z.string().max(MAX_WORD).nullish().catch(undefined);
export const flag = z.boolean().optional().catch(undefined);

/** Of one event. */
const MAX_LOCAL_IDS = 10_000;
/** One that no message can have spoils none of the others. */
export const localIds = z
  .array(z.unknown())
  .max(MAX_LOCAL_IDS)
  .transform((given) => given.filter((one): one is string => id.safeParse(one).success));

/** There, whatever it is. */
export const present = z.unknown().refine((value) => value !== undefined);
