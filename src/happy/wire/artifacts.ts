// Artifacts on the wire, pure (HTTP contract 11, realtime contract 6.10 and 7.9 to 7.11). Bytes are padded base64, empty ones "".

import type { ArtifactRow, ArtifactSummary, LightArtifact, WrittenPart } from "../store/artifacts.ts";
import { encode } from "./base64.ts";
import { base64Body, type UpdateBody } from "./updates.ts";

/** As lists give it: without the body. */
export function artifactSummary(row: ArtifactSummary) {
  return {
    id: row.id,
    header: base64Body(row.header),
    headerVersion: row.headerVersion,
    dataEncryptionKey: encode(row.dataEncryptionKey),
    seq: row.seq,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

/** As HTTP gives it. */
export function artifactBody(row: LightArtifact) {
  return { ...artifactSummary(row), body: base64Body(row.body), bodyVersion: row.bodyVersion };
}

/** As a socket acknowledgement gives it: without the key. */
export function artifactAnswer(row: ArtifactRow) {
  const { dataEncryptionKey: _, ...rest } = artifactBody(row);
  return rest;
}

export function newArtifact(row: ArtifactRow): UpdateBody {
  const { id, ...rest } = artifactBody(row);
  return { t: "new-artifact", artifactId: id, ...rest };
}

/** Names only the parts that were written; the app refuses null for the other. */
export function updatedArtifact(
  artifactId: string,
  parts: { readonly header: WrittenPart | undefined; readonly body: WrittenPart | undefined },
): UpdateBody {
  return {
    t: "update-artifact",
    artifactId,
    ...(parts.header && { header: partBody(parts.header) }),
    ...(parts.body && { body: partBody(parts.body) }),
  };
}

export const deletedArtifact = (artifactId: string): UpdateBody => ({ t: "delete-artifact", artifactId });

const partBody = ({ bytes, version }: WrittenPart) => ({ value: encode(bytes), version });
