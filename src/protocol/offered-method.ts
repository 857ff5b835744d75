// A method that one protocol offers and another one calls, without either knowing the other: the composition root hands it on.
import type { z } from "zod";

export interface OfferedMethod {
  readonly service: string;
  readonly handler: string;
  readonly description: string;
  /** What `data` must look like. */
  readonly params: z.ZodType;
  /** Needed where the caller's protocol checks permissions; elsewhere callers have to be proved. */
  readonly permission: { readonly resource: string; readonly action: string };
  /** Changes nothing. `data` is as `params` gives it. @throws NotThere */
  read(data: unknown): Promise<unknown>;
}

/** What was asked for is not there. */
export class NotThere extends Error {
  /** @param field of `data` that names it */
  constructor(
    readonly field: string,
    message: string,
  ) {
    super(message);
  }
}
