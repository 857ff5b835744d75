// The setting `topics`: what an operator says of one topic of JSON documents.
import { z } from "zod";
import { text } from "../config/values.ts";

/** One topic of JSON documents that the operator declares. */
export const declaredTopic = z.strictObject({
  name: text(),
  schema: z.union([z.boolean(), z.record(z.string(), z.unknown())]),
  autoJoin: z.boolean().optional(),
  replayLimit: z.int().min(1).max(10_000).optional(),
  snapshotLimit: z.int().min(1).max(100_000).optional(),
  retention: z.strictObject({ days: z.number().min(0), maxRows: z.int().min(0) }).optional(),
});
export type DeclaredTopic = z.output<typeof declaredTopic>;
