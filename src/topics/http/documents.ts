// The resource of one declared topic under /api/v1/topics/<topic>, with the verbs and answers of the websites resource.
import { Hono } from "hono";
import { z } from "zod";
import type { TopicsContext } from "../context.ts";
import type { GuardedTopic } from "../declared.ts";
import { notFound } from "../problem.ts";
import { success } from "./envelope.ts";
import type { Guards, TopicsEnv } from "./guards.ts";
import { idList, idParam, jsonBody, paging, parsed } from "./input.ts";

/** SQLite reads JSON up to 1,000 levels; nobody means a hundred. */
const MAX_DEPTH = 100;

export function documentRoutes(context: TopicsContext, { user }: Guards, { topic, guard }: GuardedTopic) {
  const { store } = context;
  const path = `/topics/${topic.name}`;
  // What is kept is the document as it came: the schema only judges it.
  const document = z.unknown().superRefine((value, context) => {
    if (value === undefined) {
      context.addIssue({ code: "custom", message: "required" });
      return;
    }
    if (isDeeper(value, MAX_DEPTH)) {
      context.addIssue({ code: "custom", message: `nested deeper than ${MAX_DEPTH} levels` });
      return;
    }
    const refusal = guard(value);
    if (refusal !== undefined)
      context.addIssue({ code: "custom", path: [...refusal.path], message: refusal.message });
  });
  const createBody = z.object({ document });
  const updateBody = z.object({ id: z.int().positive(), document });
  return new Hono<TopicsEnv>()
    .get(path, ...user, async (c) => {
      const { page, pageSize } = parsed(paging, c.req.query());
      return success({ ...(await store.pageDocuments(topic, page, pageSize)), page, pageSize }, context);
    })
    .get(`${path}/:id`, ...user, async (c) => {
      const { id } = parsed(idParam, c.req.param());
      const item = await store.findDocument(topic, id);
      if (item === undefined) throw notFound(topic.name);
      return success({ item }, context);
    })
    .post(`${path}/create`, ...user, async (c) => {
      const { document } = await jsonBody(c, createBody);
      const item = await store.createDocument(topic, JSON.stringify(document));
      return success({ id: item.id, item }, context);
    })
    .post(`${path}/update`, ...user, async (c) => {
      const { id, document } = await jsonBody(c, updateBody);
      const item = await store.updateDocument(topic, id, JSON.stringify(document));
      return success({ success: true, id, item }, context);
    })
    .post(`${path}/delete`, ...user, async (c) => {
      const { ids } = await jsonBody(c, idList);
      return success({ success: true, ...(await store.removeDocuments(topic, ids)) }, context);
    });
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
