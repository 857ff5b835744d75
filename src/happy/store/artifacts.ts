// Artifacts: two encrypted parts, each with a version. Ids are chosen by clients and unique across accounts. Base64 comes in as text,
// because whether it is readable only matters once nothing else stands against a write.
import { and, desc, eq, sql } from "drizzle-orm";
import type { Database } from "../../storage/database.ts";
import { type Light, lightRow } from "../../storage/large-rows.ts";
import { prepared } from "../../storage/query.ts";
import { nextColumns, staleParts, type Versioned } from "../../storage/versioned.ts";
import { type Listed, NOTHING, weighedList } from "../../storage/weighed-list.ts";
import { Base64Error, decodeStrict } from "../wire/base64.ts";
import { admitGrowth, admitRows } from "./account-sizes.ts";
import { accountPk, findAccountPk, takeUpdateSeqs } from "./accounts.ts";
import { accounts, artifacts } from "./schema.ts";

export type ArtifactRow = typeof artifacts.$inferSelect;
/** An artifact whose large parts may still be in the database. */
export type LightArtifact = Light<ArtifactRow, "header" | "body">;
export type ArtifactSummary = Omit<LightArtifact, "body" | "bodyVersion" | "accountPk" | "pk">;

const owned = prepared((db) =>
  db
    .select({ artifact: artifacts })
    .from(artifacts)
    .innerJoin(accounts, eq(accounts.pk, artifacts.accountPk))
    .where(and(eq(artifacts.id, sql.placeholder("artifact")), eq(accounts.id, sql.placeholder("account"))))
    .prepare(),
);

const ownedVersions = prepared((db) =>
  db
    .select({
      pk: artifacts.pk,
      accountPk: artifacts.accountPk,
      headerVersion: artifacts.headerVersion,
      bodyVersion: artifacts.bodyVersion,
      headerBytes: sql<number>`octet_length(${artifacts.header})`,
      bodyBytes: sql<number>`octet_length(${artifacts.body})`,
    })
    .from(artifacts)
    .innerJoin(accounts, eq(accounts.pk, artifacts.accountPk))
    .where(and(eq(artifacts.id, sql.placeholder("artifact")), eq(accounts.id, sql.placeholder("account"))))
    .prepare(),
);

/** An artifact that belongs to the account, else undefined. */
export async function findArtifact(
  { reads }: Database,
  account: string,
  artifact: string,
): Promise<ArtifactRow | undefined> {
  return owned(reads).get({ account, artifact })?.artifact;
}

const PARTS = { header: "headerVersion", body: "bodyVersion" } as const;
const light = lightRow(artifacts, PARTS);

/** The same, with its large parts left in the database. */
export async function findLightArtifact(
  { reads }: Database,
  account: string,
  artifact: string,
): Promise<LightArtifact | undefined> {
  const keys = ownedVersions(reads).get({ account, artifact });
  return keys && light(reads, keys.pk);
}

const newest = weighedList({
  table: artifacts,
  large: { header: "headerVersion" },
  omit: ["body"],
  where: eq(artifacts.accountPk, sql.placeholder("account")),
  order: desc(artifacts.updatedAt),
});

/** Latest change first, at most `limit`, without the bodies. */
export async function listArtifacts(
  { reads }: Database,
  account: string,
  limit: number,
): Promise<Listed<ArtifactSummary>> {
  const pk = findAccountPk(reads, account);
  return pk === undefined ? NOTHING : newest(reads, { values: { account: pk }, limit });
}

export interface NewArtifact {
  readonly id: string;
  /** Base64, like the two below. */
  readonly header: string;
  readonly body: string;
  readonly dataEncryptionKey: string;
}

export type CreatedArtifact =
  | { readonly kind: "new"; readonly row: ArtifactRow; readonly updateSeq: number }
  | { readonly kind: "known" }
  | { readonly kind: "foreign" }
  | { readonly kind: "undecodable" };

/** Create-or-return by id: a known artifact comes back as it is stored. @throws UnknownAccount */
export function createArtifact(
  { writer, quota, sizes }: Database,
  account: string,
  artifact: NewArtifact,
  announce: (created: CreatedArtifact) => void,
): Promise<CreatedArtifact> {
  sizes.admitBase64("state", "header", artifact.header);
  sizes.admitBase64("state", "body", artifact.body);
  sizes.admitBase64("metadata", "dataEncryptionKey", artifact.dataEncryptionKey);
  return writer.holding(artifact).run((db): CreatedArtifact => {
    const owner = accountPk(db, account);
    const existing = db
      .select({ accountPk: artifacts.accountPk })
      .from(artifacts)
      .where(eq(artifacts.id, artifact.id))
      .get();
    if (existing !== undefined) return { kind: existing.accountPk === owner ? "known" : "foreign" };
    quota.admit("thing");
    const header = decoded(artifact.header);
    const body = decoded(artifact.body);
    const dataEncryptionKey = decoded(artifact.dataEncryptionKey);
    if (header === undefined || body === undefined || dataEncryptionKey === undefined)
      return { kind: "undecodable" };
    admitRows(db, quota, { account, pk: owner }, [header, body, dataEncryptionKey]);
    const now = Date.now();
    const row = db
      .insert(artifacts)
      .values({
        id: artifact.id,
        accountPk: owner,
        header,
        headerVersion: 1,
        body,
        bodyVersion: 1,
        dataEncryptionKey,
        createdAt: now,
        updatedAt: now,
      })
      .returning()
      .get();
    return { kind: "new", row, updateSeq: takeUpdateSeqs(db, owner, now) };
  }, announce);
}

/** Parts to write, base64; none at all is a change too. */
export interface ArtifactChange {
  readonly header?: Versioned<string> | undefined;
  readonly body?: Versioned<string> | undefined;
}

/** A part as it was stored. */
export interface WrittenPart {
  readonly bytes: Uint8Array;
  readonly version: number;
}

/** A mismatch says which parts it stands against. */
export type ArtifactChangeResult =
  | {
      readonly kind: "changed";
      readonly updateSeq: number;
      readonly header: WrittenPart | undefined;
      readonly body: WrittenPart | undefined;
    }
  | { readonly kind: "mismatch"; readonly header: boolean; readonly body: boolean }
  | { readonly kind: "missing" }
  | { readonly kind: "undecodable" };

/** Writes the given parts when every expected version is the current one, and counts `seq` up; else writes nothing. */
export function changeArtifact(
  { writer, quota, sizes }: Database,
  account: string,
  artifact: string,
  change: ArtifactChange,
  announce: (result: ArtifactChangeResult) => void,
): Promise<ArtifactChangeResult> {
  sizes.admitBase64("state", "header", change.header?.value);
  sizes.admitBase64("state", "body", change.body?.value);
  return writer.holding(change).run((db): ArtifactChangeResult => {
    const current = ownedVersions(db).get({ account, artifact });
    if (current === undefined) return { kind: "missing" };
    const stale = staleParts(PARTS, change, current);
    if (stale !== undefined) return { kind: "mismatch", ...stale };
    const header = change.header && decodedPart(change.header);
    const body = change.body && decodedPart(change.body);
    if (header === null || body === null) return { kind: "undecodable" };
    quota.admit("message");
    const grown =
      (header === undefined ? 0 : header.value.length - current.headerBytes) +
      (body === undefined ? 0 : body.value.length - current.bodyBytes);
    admitGrowth(db, quota, { account, pk: current.accountPk }, grown);
    const now = Date.now();
    db.update(artifacts)
      .set({
        ...nextColumns(PARTS, { header, body }),
        seq: sql`${artifacts.seq} + 1`,
        updatedAt: now,
      })
      .where(eq(artifacts.pk, current.pk))
      .run();
    return {
      kind: "changed",
      updateSeq: takeUpdateSeqs(db, current.accountPk, now),
      header: header && written(header),
      body: body && written(body),
    };
  }, announce);
}

/** False when the account has no such artifact. */
export function deleteArtifact(
  { writer }: Database,
  account: string,
  artifact: string,
  announce: (updateSeq: number) => void,
): Promise<boolean> {
  return writer
    .run(
      (db) => {
        const current = ownedVersions(db).get({ account, artifact });
        if (current === undefined) return undefined;
        db.delete(artifacts).where(eq(artifacts.pk, current.pk)).run();
        return takeUpdateSeqs(db, current.accountPk, Date.now());
      },
      (seq) => {
        if (seq !== undefined) announce(seq);
      },
    )
    .then((seq) => seq !== undefined);
}

/** Null when the part is no base64. */
function decodedPart({ value, expectedVersion }: Versioned<string>): Versioned<Uint8Array> | null {
  const bytes = decoded(value);
  return bytes === undefined ? null : { value: bytes, expectedVersion };
}

function written({ value, expectedVersion }: Versioned<Uint8Array>): WrittenPart {
  return { bytes: value, version: expectedVersion + 1 };
}

function decoded(text: string): Uint8Array | undefined {
  try {
    return decodeStrict(text);
  } catch (error) {
    if (error instanceof Base64Error) return undefined;
    throw error;
  }
}
