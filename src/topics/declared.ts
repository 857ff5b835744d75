// Topics of JSON documents that the operator declares in the configuration: a name, a schema, and what may differ from the defaults.
import type { z } from "zod";
import type { DeclaredTopic } from "./declared-topic.ts";
import { zodOf } from "./json-schema.ts";
import { documentItem, newestDocuments } from "./store/documents.ts";
import { type Topic, topic } from "./topic.ts";

export interface DocumentTopic {
  readonly topic: Topic;
  readonly schema: z.ZodType;
}

/** @throws Error naming the topic and what is wrong with its schema. */
export function documentTopic({
  name,
  schema,
  autoJoin,
  replayLimit,
  snapshotLimit,
  retention,
}: DeclaredTopic): DocumentTopic {
  try {
    return {
      schema: zodOf(schema),
      topic: topic({
        name,
        itemKey: "id",
        snapshot: (db, limit) => newestDocuments(db, name, limit),
        project: (db, id) => documentItem(db, name, id),
        ...(autoJoin === undefined ? {} : { autoJoin }),
        ...(replayLimit === undefined ? {} : { replayLimit }),
        ...(snapshotLimit === undefined ? {} : { snapshotLimit }),
        ...(retention === undefined ? {} : { retention }),
      }),
    };
  } catch (error) {
    throw new Error(
      `Topic "${name}" is not usable: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
}
