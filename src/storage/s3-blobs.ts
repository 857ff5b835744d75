// Blobs in an S3 bucket. Clients exchange attachments with the bucket itself, by addresses signed here that admit them for 15 minutes;
// bytes of theirs never pass through this server. Addresses are path-style, which every S3-compatible store understands.

import { createHmac } from "node:crypto";
import { S3Client } from "bun";
import { within } from "../within.ts";
import {
  type BlobContent,
  type BlobStore,
  contentType,
  type DirectTransfer,
  isBlobKey,
  type StoredBlob,
} from "./blobs.ts";
import { StorageError } from "./errors.ts";
import type { StorageConfig } from "./settings.ts";

export type S3Address = Pick<StorageConfig, "s3Host" | "s3Port" | "s3UseSsl" | "s3Bucket" | "s3PublicUrl">;
export type S3Config = S3Address & Pick<StorageConfig, "s3Region" | "s3AccessKey" | "s3SecretKey">;

/** How long a signed address admits. */
const ADMITS_SECONDS = 15 * 60;
/** Nobody waits longer for one answer of the store. */
const DEADLINE_MS = 15_000;

export class S3Blobs implements BlobStore {
  readonly direct: DirectTransfer;
  readonly #client: S3Client;

  /** @throws Error that names the settings which are missing. */
  constructor(config: S3Config) {
    const endpoint = endpointOf(config);
    const { accessKey, secretKey, bucket } = required(config);
    const region = config.s3Region;
    this.#client = new S3Client({
      endpoint,
      bucket,
      region,
      accessKeyId: accessKey,
      secretAccessKey: secretKey,
    });
    this.direct = {
      uploadForm: (key, maxBytes) => ({
        url: `${endpoint}/${bucket}`,
        fields: signedForm({ bucket, key, maxBytes, region, accessKey, secretKey, now: new Date() }),
      }),
      downloadUrl: (key) =>
        // A name that no blob can have gets an address that finds nothing.
        this.#client.presign(isS3Key(key) ? key : encodeURIComponent(key), {
          method: "GET",
          expiresIn: ADMITS_SECONDS,
        }),
    };
  }

  async put(key: string, content: BlobContent): Promise<void> {
    if (!isS3Key(key)) throw new Error("not a blob key");
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    await answered(this.#client.write(key, Buffer.concat(chunks), { type: contentType(key) }));
  }

  async find(key: string): Promise<StoredBlob | undefined> {
    if (!isS3Key(key)) return undefined;
    const file = this.#client.file(key);
    if (!(await answered(file.exists()))) return undefined;
    const { size } = await answered(file.stat());
    return { size, bytes: file };
  }

  async removeFolder(folder: string): Promise<void> {
    for await (const { key } of this.#below(folder)) await answered(this.#client.delete(key));
  }

  async folderBytes(folder: string): Promise<number> {
    let bytes = 0;
    for await (const { size = 0 } of this.#below(folder)) bytes += size;
    return bytes;
  }

  async *#below(folder: string) {
    if (!isS3Key(folder)) return;
    const prefix = `${folder}/`;
    let continuationToken: string | undefined;
    do {
      const page = await answered(
        this.#client.list({ prefix, ...(continuationToken !== undefined && { continuationToken }) }),
      );
      yield* page.contents ?? [];
      continuationToken = page.isTruncated === true ? page.nextContinuationToken : undefined;
    } while (continuationToken !== undefined);
  }

  start(): void {}

  async stop(): Promise<void> {}
}

/** Bun takes a backslash in a key for a slash, and refuses NUL. */
function isS3Key(key: string): boolean {
  return isBlobKey(key) && !/[\\\p{Cc}]/u.test(key);
}

/** Address of the bucket for clients, without a slash at its end. */
export function s3PublicBase(config: Partial<S3Address>): string {
  return config.s3PublicUrl?.replace(/\/+$/, "") ?? `${endpointOf(config)}/${config.s3Bucket}`;
}

function endpointOf({ s3Host, s3Port, s3UseSsl = true }: Partial<S3Address>): string {
  const usual = s3UseSsl ? 443 : 80;
  const port = s3Port === undefined || s3Port === usual ? "" : `:${s3Port}`;
  return `${s3UseSsl ? "https" : "http"}://${s3Host}${port}`;
}

function required({ s3AccessKey, s3SecretKey, s3Bucket }: S3Config) {
  if (s3AccessKey === undefined || s3SecretKey === undefined || s3Bucket === undefined) {
    throw new Error(
      "An S3 host is set, but not all that it needs: S3_ACCESS_KEY, S3_SECRET_KEY and S3_BUCKET.",
    );
  }
  return { accessKey: s3AccessKey, secretKey: s3SecretKey, bucket: s3Bucket };
}

interface Form {
  readonly bucket: string;
  readonly key: string;
  readonly maxBytes: number;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly now: Date;
}

/** The fields of a browser-based upload, signed with AWS Signature Version 4. */
function signedForm({ bucket, key, maxBytes, region, accessKey, secretKey, now }: Form) {
  const stamp = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = [stamp.slice(0, 8), region, "s3", "aws4_request"];
  const fields = {
    key,
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": [accessKey, ...scope].join("/"),
    "x-amz-date": stamp,
  };
  const policy = Buffer.from(
    JSON.stringify({
      expiration: new Date(now.getTime() + ADMITS_SECONDS * 1_000).toISOString(),
      conditions: [
        { bucket },
        ...Object.entries(fields).map(([name, value]) => ["eq", `$${name}`, value]),
        ["content-length-range", 0, maxBytes],
      ],
    }),
  ).toString("base64");
  return { ...fields, policy, "x-amz-signature": signPolicy(policy, secretKey, scope) };
}

/** Hexadecimal signature of a base64 policy; `scope` is date, region, service and terminator. */
export function signPolicy(policy: string, secretKey: string, scope: readonly string[]): string {
  const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${secretKey}`);
  return hmac(key, policy).toString("hex");
}

/** @throws StorageError when the store refuses or stays silent. */
async function answered<T>(asked: Promise<T>): Promise<T> {
  try {
    return await within(DEADLINE_MS, asked, () => new Error("no answer in time"));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? ` (${error.code})` : "";
    throw new StorageError("failed", `The S3 store could not be used${code}. Try again later.`, {
      cause: error,
    });
  }
}
