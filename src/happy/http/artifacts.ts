// Artifacts over HTTP (HTTP contract 11, and the additive PUT of 17).
import { z } from "zod";
import { versioned } from "../../storage/versioned.ts";
import {
  announceArtifactChange,
  announceArtifactDeletion,
  announceNewArtifact,
} from "../artifact-announcements.ts";
import { artifactBody, artifactSummary } from "../wire/artifacts.ts";
import { base64Body } from "../wire/updates.ts";
import { type Endpoint, endpoint, json, refusal } from "./kit/endpoint.ts";
import { jsonLarge, jsonList } from "./kit/large.ts";

const LIST_LIMIT = 200;
const params = z.object({ id: z.string() });
const missing = () => refusal(404, "Artifact not found");

const list = endpoint(
  {
    method: "GET",
    path: "/v1/artifacts",
    auth: "bearer",
    failure: { error: "Failed to get artifacts" },
  },
  async ({ context, account }) =>
    jsonList(context, undefined, await context.store.listArtifacts(account, LIST_LIMIT), artifactSummary),
);

const read = endpoint(
  {
    method: "GET",
    path: "/v1/artifacts/:id",
    auth: "bearer",
    params,
    failure: { error: "Failed to get artifact" },
  },
  async ({ context, account, params: { id } }) => {
    const row = await context.store.findLightArtifact(account, id);
    return row === undefined ? missing() : jsonLarge(context, artifactBody(row));
  },
);

const createFailure = { error: "Failed to create artifact" };

const create = endpoint(
  {
    method: "POST",
    path: "/v1/artifacts",
    auth: "bearer",
    body: z.object({
      id: z.uuid(),
      header: z.string(),
      body: z.string(),
      dataEncryptionKey: z.string(),
    }),
    failure: createFailure,
  },
  async ({ context, account, body: artifact }) => {
    const created = await context.store.createArtifact(
      account,
      artifact,
      announceNewArtifact(context, account),
    );
    if (created.kind === "foreign")
      return refusal(409, "Artifact with this ID already exists for another account");
    if (created.kind === "undecodable") return json(createFailure, 500);
    const row = await context.store.findLightArtifact(account, artifact.id);
    return row === undefined ? missing() : jsonLarge(context, artifactBody(row));
  },
);

const version = z.int().min(0);
const changeFailure = { error: "Failed to update artifact" };

/** POST is the original's, PUT the additive alias. */
const change = (method: "POST" | "PUT") =>
  endpoint(
    {
      method,
      path: "/v1/artifacts/:id",
      auth: "bearer",
      params,
      body: z.object({
        header: z.string().optional(),
        expectedHeaderVersion: version.optional(),
        body: z.string().optional(),
        expectedBodyVersion: version.optional(),
      }),
      failure: changeFailure,
    },
    async ({ context, account, params: { id }, body: wanted }) => {
      const result = await context.store.changeArtifact(
        account,
        id,
        {
          header: versioned(wanted.header, wanted.expectedHeaderVersion),
          body: versioned(wanted.body, wanted.expectedBodyVersion),
        },
        announceArtifactChange(context, account, id),
      );
      switch (result.kind) {
        case "missing":
          return missing();
        case "undecodable":
          return json(changeFailure, 500);
        case "mismatch": {
          const row = await context.store.findLightArtifact(account, id);
          if (row === undefined) return missing();
          return jsonLarge(context, {
            success: false,
            error: "version-mismatch",
            ...(result.header && {
              currentHeaderVersion: row.headerVersion,
              currentHeader: base64Body(row.header),
            }),
            ...(result.body && { currentBodyVersion: row.bodyVersion, currentBody: base64Body(row.body) }),
          });
        }
        case "changed":
          return json({
            success: true,
            ...(result.header && { headerVersion: result.header.version }),
            ...(result.body && { bodyVersion: result.body.version }),
          });
      }
    },
  );

const remove = endpoint(
  {
    method: "DELETE",
    path: "/v1/artifacts/:id",
    auth: "bearer",
    params,
    failure: { error: "Failed to delete artifact" },
  },
  async ({ context, account, params: { id } }) => {
    const deleted = await context.store.deleteArtifact(
      account,
      id,
      announceArtifactDeletion(context, account, id),
    );
    return deleted ? json({ success: true }) : missing();
  },
);

export const artifactEndpoints: readonly Endpoint[] = [
  list,
  read,
  create,
  change("POST"),
  change("PUT"),
  remove,
];
