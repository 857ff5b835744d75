// `artifact-read`, `-create`, `-update`, `-delete`: artifacts over a socket (realtime contract 6.10 to 6.13), stored and announced
// exactly as over HTTP. Ids need not be UUIDs here.
import { z } from "zod";
import { identifier, pathIdentifier } from "../../../limits/identifier.ts";
import {
  announceArtifactChange,
  announceArtifactDeletion,
  announceNewArtifact,
} from "../../artifact-announcements.ts";
import { artifactAnswer } from "../../wire/artifacts.ts";
import { encode } from "../../wire/base64.ts";
import type { Ack, SocketEvent } from "../connection.ts";

const named = z.object({ artifactId: identifier.min(1) });
const createSchema = z.object({
  id: pathIdentifier.min(1),
  header: z.string(),
  body: z.string(),
  dataEncryptionKey: z.string(),
});
const changeSchema = named.extend({ header: z.unknown().optional(), body: z.unknown().optional() });
const partSchema = z.object({ data: z.string(), expectedVersion: z.number() });

const error = (message: string) => ({ result: "error", message });
const failure = error("Internal error");

/** A payload that is nothing at all is an internal error in the original; wrong fields are named. */
function refuse(payload: unknown, ack: Ack): void {
  ack(payload === null || payload === undefined ? failure : error("Invalid parameters"));
}

export const artifactRead: SocketEvent = {
  event: "artifact-read",
  failure,
  handle: async ({ context, account }, payload, ack) => {
    const parsed = named.safeParse(payload);
    if (!parsed.success) return refuse(payload, ack);
    const row = await context.store.findArtifact(account, parsed.data.artifactId);
    if (row === undefined) return ack(error("Artifact not found"));
    ack({ result: "success", artifact: artifactAnswer(row) });
  },
};

export const artifactCreate: SocketEvent = {
  event: "artifact-create",
  failure,
  // The store counts the bytes behind the base64, as over HTTP.
  admitsValues: true,
  handle: async ({ context, account }, payload, ack) => {
    const parsed = createSchema.safeParse(payload);
    if (!parsed.success) return refuse(payload, ack);
    const created = await context.store.createArtifact(
      account,
      parsed.data,
      announceNewArtifact(context, account),
    );
    if (created.kind === "foreign")
      return ack(error("Artifact with this ID already exists for another account"));
    if (created.kind === "undecodable") return ack(failure);
    const row = await context.store.findArtifact(account, parsed.data.id);
    ack(row === undefined ? failure : { result: "success", artifact: artifactAnswer(row) });
  },
};

export const artifactUpdate: SocketEvent = {
  event: "artifact-update",
  failure,
  admitsValues: true,
  handle: async ({ context, account }, payload, ack) => {
    const parsed = changeSchema.safeParse(payload);
    if (!parsed.success) return refuse(payload, ack);
    const { artifactId, header, body } = parsed.data;
    if (!header && !body) return ack(error("No updates provided"));
    const headerPart = header ? partSchema.safeParse(header) : undefined;
    if (headerPart?.success === false) return ack(error("Invalid header parameters"));
    const bodyPart = body ? partSchema.safeParse(body) : undefined;
    if (bodyPart?.success === false) return ack(error("Invalid body parameters"));
    const result = await context.store.changeArtifact(
      account,
      artifactId,
      { header: versioned(headerPart?.data), body: versioned(bodyPart?.data) },
      announceArtifactChange(context, account, artifactId),
    );
    switch (result.kind) {
      case "missing":
        return ack(error("Artifact not found"));
      case "undecodable":
        return ack(failure);
      case "mismatch": {
        const row = await context.store.findArtifact(account, artifactId);
        if (row === undefined) return ack(error("Artifact not found"));
        return ack({
          result: "version-mismatch",
          ...(result.header && {
            header: { currentVersion: row.headerVersion, currentData: encode(row.header) },
          }),
          ...(result.body && { body: { currentVersion: row.bodyVersion, currentData: encode(row.body) } }),
        });
      }
      case "changed":
        // The data comes back as it was sent.
        return ack({
          result: "success",
          ...(result.header && { header: { version: result.header.version, data: headerPart?.data.data } }),
          ...(result.body && { body: { version: result.body.version, data: bodyPart?.data.data } }),
        });
    }
  },
};

function versioned(part: z.output<typeof partSchema> | undefined) {
  return part && { value: part.data, expectedVersion: part.expectedVersion };
}

export const artifactDelete: SocketEvent = {
  event: "artifact-delete",
  failure,
  handle: async ({ context, account }, payload, ack) => {
    const parsed = named.safeParse(payload);
    if (!parsed.success) return refuse(payload, ack);
    const { artifactId } = parsed.data;
    const announce = announceArtifactDeletion(context, account, artifactId);
    const deleted = await context.store.deleteArtifact(account, artifactId, announce);
    ack(deleted ? { result: "success" } : error("Artifact not found"));
  },
};
