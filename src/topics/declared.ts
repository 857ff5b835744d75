// Topics of JSON documents that the operator declares in the configuration: a name, a schema, and what may differ from the defaults.

import { type Guard, loadGuards } from "../schema/guard.ts";
import { enforceable, type JsonSchema } from "../schema/json-schema.ts";
import type { DeclaredTopic } from "./declared-topic.ts";
import { documentItems } from "./store/documents.ts";
import { type Topic, topic } from "./topic.ts";

export interface DocumentTopic {
  readonly topic: Topic;
  readonly schema: JsonSchema;
}

/** @throws Error naming the topic and the word of its schema that would not act. */
export function documentTopic({ name, schema, ...options }: DeclaredTopic): DocumentTopic {
  return about(name, () => {
    enforceable(schema);
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    return {
      schema,
      topic: topic({ name, itemKey: "id", ...documentItems(name), ...Object.fromEntries(given) }),
    };
  });
}

export interface GuardedTopic {
  readonly topic: Topic;
  readonly guard: Guard;
}

/** The topics with what judges their documents. @throws Error naming the topic whose schema cannot be used. */
export async function guarded(documents: readonly DocumentTopic[]): Promise<GuardedTopic[]> {
  if (documents.every(({ schema }) => schema === true))
    return documents.map(({ topic }) => ({ topic, guard: () => undefined }));
  const guardOf = await loadGuards();
  return documents.map(({ topic, schema }) => ({
    topic,
    guard: about(topic.name, () => guardOf(schema)),
  }));
}

function about<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(
      `Topic "${name}" is not usable: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
}
