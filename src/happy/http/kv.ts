// The key-value store over HTTP (HTTP contract 12, and the additive PUT and DELETE of 17).
import { z } from "zod";
import { identifier, MAX_PATH_LENGTH } from "../../limits/identifier.ts";
import { userScoped } from "../audience.ts";
import type { HappyContext } from "../context.ts";
import type { KvResult } from "../store/kv.ts";
import { kvBatchUpdate, kvBody, kvConflictBody } from "../wire/kv.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { jsonLarge, jsonList } from "./kit/large.ts";
import { limitOf } from "./sessions.ts";

const MAX_BATCH = 100;
const params = z.object({ key: z.string() });
const missing = () => refusal(404, "Key not found");

const read = endpoint(
  {
    method: "GET",
    path: "/v1/kv/:key",
    auth: "bearer",
    params,
    failure: { error: "Failed to get value" },
  },
  async ({ context, account, params: { key } }) => {
    const entry = await context.store.findKv(account, key);
    return entry === undefined ? missing() : jsonLarge(context, kvBody(entry));
  },
);

const list = endpoint(
  {
    method: "GET",
    path: "/v1/kv",
    auth: "bearer",
    query: z.object({ prefix: z.string().default(""), limit: limitOf(1000, 100) }),
    failure: { error: "Failed to list items" },
  },
  async ({ context, account, query: { prefix, limit } }) =>
    jsonList(context, "items", await context.store.listKv(account, prefix, limit), kvBody),
);

const readMany = endpoint(
  {
    method: "POST",
    path: "/v1/kv/bulk",
    auth: "bearer",
    body: z.object({ keys: z.array(identifier).min(1).max(MAX_BATCH) }),
    failure: { error: "Failed to get values" },
  },
  async ({ context, account, body: { keys } }) =>
    jsonList(context, "values", await context.store.findManyKv(account, keys), kvBody),
);

const mutateFailure = { error: "Failed to mutate values" };
const value = z.string().nullable();
const mutation = z
  .object({ key: identifier, value, version: z.number() })
  // What an earlier version took can still be deleted.
  .refine(({ key, value, version }) => key.length <= MAX_PATH_LENGTH || (value === null && version >= 0), {
    path: ["key"],
    message: `Too big: expected string to have <=${MAX_PATH_LENGTH} characters`,
  });

const mutate = endpoint(
  {
    method: "POST",
    path: "/v1/kv",
    auth: "bearer",
    body: z.object({
      mutations: z.array(mutation).min(1).max(MAX_BATCH),
    }),
    failure: mutateFailure,
  },
  async ({ context, account, body: { mutations } }) => {
    const result = await context.store.mutateKv(account, mutations, announce(context, account));
    if (result.kind === "mismatch") return conflict(context, account, result.keys);
    if (result.kind === "invalid") return json(mutateFailure, 500);
    return json({ success: true, results: result.changes.map(({ key, version }) => ({ key, version })) });
  },
);

const write = endpoint(
  {
    method: "PUT",
    path: "/v1/kv/:key",
    auth: "bearer",
    params,
    body: z.object({ value, version: z.number().optional() }),
    failure: mutateFailure,
  },
  async ({ context, account, params: { key }, body }) => {
    const mutation = { key, value: body.value, version: body.version };
    const result = await context.store.mutateKv(account, [mutation], announce(context, account));
    if (result.kind === "mismatch") return conflict(context, account, result.keys);
    if (result.kind === "invalid") return json(mutateFailure, 500);
    return json({ success: true, key, version: result.changes[0]?.version });
  },
);

const remove = endpoint(
  {
    method: "DELETE",
    path: "/v1/kv/:key",
    auth: "bearer",
    params,
    query: z.object({ version: z.coerce.number().optional() }),
    failure: mutateFailure,
  },
  async ({ context, account, params: { key }, query: { version } }) => {
    const result = await context.store.deleteKv(account, key, version, announce(context, account));
    if (result.kind === "missing") return missing();
    if (result.kind === "mismatch") return conflict(context, account, result.keys);
    if (result.kind === "invalid") return json(mutateFailure, 500);
    return json({ success: true, version: result.changes[0]?.version });
  },
);

/** One update for the whole batch. */
function announce({ publisher }: HappyContext, account: string) {
  return (result: KvResult | { readonly kind: "missing" }): void => {
    if (result.kind === "changed")
      publisher.update(userScoped(account), result.updateSeq, kvBatchUpdate(result.changes));
  };
}

/** Unlike every other version conflict, this one is a 409. */
async function conflict(context: HappyContext, account: string, keys: readonly string[]): Promise<Response> {
  const listed = await context.store.kvConflicts(account, keys);
  return jsonList(context, "errors", listed, kvConflictBody, { success: false }, 409);
}

export const kvEndpoints: readonly Endpoint[] = [read, list, readMany, mutate, write, remove];
