// Access keys over HTTP (HTTP contract 10, and the additive list of 17). Nothing here is announced.
import { z } from "zod";
import { accessKeyBody } from "../wire/access-keys.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { jsonList } from "./kit/large.ts";

const path = "/v1/access-keys/:sessionId/:machineId";
const params = z.object({ sessionId: z.string(), machineId: z.string() });
const noPlace = () => refusal(404, "Session or machine not found");

const list = endpoint(
  {
    method: "GET",
    path: "/v1/accessKeys",
    auth: "bearer",
    query: z.object({ sessionId: z.string().optional(), machineId: z.string().optional() }),
  },
  async ({ context, account, query }) =>
    jsonList(context, "accessKeys", await context.store.listAccessKeys(account, query), (key) => key),
);

const read = endpoint(
  { method: "GET", path, auth: "bearer", params, failure: { error: "Failed to get access key" } },
  async ({ context, account, params: place }) => {
    const row = await context.store.findAccessKey(account, place);
    if (row === undefined) return noPlace();
    return json({ accessKey: row === null ? null : accessKeyBody(row) });
  },
);

const create = endpoint(
  {
    method: "POST",
    path,
    auth: "bearer",
    params,
    body: z.object({ data: z.string() }),
    failure: { error: "Failed to create access key" },
  },
  async ({ context, account, params: place, body: { data } }) => {
    const created = await context.store.createAccessKey(account, place, data);
    if (created.kind === "missing") return noPlace();
    if (created.kind === "exists") return refusal(409, "Access key already exists");
    return json({ success: true, accessKey: accessKeyBody(created.row) });
  },
);

const change = endpoint(
  {
    method: "PUT",
    path,
    auth: "bearer",
    params,
    body: z.object({ data: z.string(), expectedVersion: z.int().min(0) }),
    failure: { success: false, error: "Failed to update access key" },
  },
  async ({ context, account, params: place, body: { data, expectedVersion } }) => {
    const result = await context.store.changeAccessKey(account, place, data, expectedVersion);
    if (result.kind === "missing") return refusal(404, "Access key not found");
    if (result.kind === "changed") return json({ success: true, version: result.version });
    return json({
      success: false,
      error: "version-mismatch",
      currentVersion: result.version,
      currentData: result.data,
    });
  },
);

export const accessKeyEndpoints: readonly Endpoint[] = [list, read, create, change];
