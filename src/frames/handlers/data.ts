// Reads a handler's data through its schema; what does not fit is an invalid format for the client.
import { z } from "zod";
import { InvalidFormatError } from "../errors.ts";
import { clientId } from "../identity.ts";

/** Rooms are named under the same rule as clients. */
export const roomId = clientId;
export const target = clientId;

/** Any JSON value, null included, but it must be there. */
export const content = z.unknown().refine((value) => value !== undefined, "content is required");

/** @throws InvalidFormatError naming the field. */
export function read<T extends z.ZodType>(schema: T, data: unknown): z.output<T> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new InvalidFormatError(`invalid data: ${issue?.path.join(".") || "data"}`);
}
