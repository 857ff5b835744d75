// The resource of one declared topic under /api/v1/topics/<topic>, with the verbs and answers of the websites resource.
import { z } from "zod";
import type { DocumentTopic } from "../declared.ts";
import { notFound } from "../problem.ts";
import {
  createDocument,
  documentItem,
  pageDocuments,
  removeDocument,
  updateDocument,
} from "../store/documents.ts";
import { removeItems } from "../store/removal.ts";
import { type Endpoint, endpoint, idList, idParam, paging } from "./kit/endpoint.ts";

/** SQLite reads JSON up to 1,000 levels; nobody means a hundred. */
const MAX_DEPTH = 100;

export function documentEndpoints({ topic, schema }: DocumentTopic): Endpoint[] {
  const path = `/topics/${topic.name}`;
  // What is kept is the document as it came: the schema only judges it.
  const document = z.unknown().superRefine((value, context) => {
    if (value === undefined) context.addIssue({ code: "custom", message: "required" });
    if (isDeeper(value, MAX_DEPTH)) {
      context.addIssue({ code: "custom", message: `nested deeper than ${MAX_DEPTH} levels` });
      return;
    }
    for (const { path: at, message } of schema.safeParse(value).error?.issues ?? []) {
      context.addIssue({ code: "custom", path: [...at], message });
    }
  });
  return [
    endpoint({ method: "GET", path, query: paging }, ({ context, query: { page, pageSize } }) => ({
      ...pageDocuments(context.database.reads, topic.name, pageSize, (page - 1) * pageSize),
      page,
      pageSize,
    })),
    endpoint({ method: "GET", path: `${path}/:id`, params: idParam }, ({ context, params: { id } }) => {
      const item = documentItem(context.database.reads, topic.name, id);
      if (item === undefined) throw notFound(topic.name);
      return { item };
    }),
    endpoint(
      { method: "POST", path: `${path}/create`, body: z.object({ document }) },
      async ({ context, body }) => {
        const item = await createDocument(context.events, topic, JSON.stringify(body.document));
        return { id: item.id, item };
      },
    ),
    endpoint(
      { method: "POST", path: `${path}/update`, body: z.object({ id: z.int().positive(), document }) },
      async ({ context, body }) => ({
        success: true,
        id: body.id,
        item: await updateDocument(context.events, topic, body.id, JSON.stringify(body.document)),
      }),
    ),
    endpoint({ method: "POST", path: `${path}/delete`, body: idList }, async ({ context, body }) => ({
      success: true,
      ...(await removeItems(context.events, topic, body.ids, (db, id) => removeDocument(db, topic.name, id))),
    })),
  ];
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
