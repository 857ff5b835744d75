// A small server that behaves like an S3 bucket with a public/ folder: it checks every signature (header, address, and form policy) on
// its own, by AWS Signature Version 4, and refuses what does not fit.
import { createHmac, timingSafeEqual } from "node:crypto";

const BUCKET = "test-bucket";
const REGION = "eu-test-1";
const ACCESS_KEY = "AKTEST";
const SECRET_KEY = "a+secret/key";
const UNSIGNED = "UNSIGNED-PAYLOAD";
/** Small, so that a few objects need several pages. */
const PAGE = 2;

export interface S3Service {
  readonly url: string;
  /** Settings of a server that uses this bucket. */
  readonly config: {
    s3Host: string;
    s3Port: number;
    s3UseSsl: false;
    s3Region: string;
    s3Bucket: string;
    s3AccessKey: string;
    s3SecretKey: string;
  };
  readonly objects: Map<string, { readonly bytes: Uint8Array; readonly type: string }>;
  /** Method, path and status of every request. */
  readonly requests: string[];
  stop(): Promise<void>;
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code);
  }
}

const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();

function sign(date: string, text: string): string {
  const key = hmac(hmac(hmac(hmac(`AWS4${SECRET_KEY}`, date), REGION), "s3"), "aws4_request");
  return hmac(key, text).toString("hex");
}

function expectSame(given: string | null | undefined, right: string): void {
  const a = Buffer.from(given ?? "");
  const b = Buffer.from(right);
  if (a.length !== b.length || !timingSafeEqual(a, b)) throw new Refusal(403, "SignatureDoesNotMatch");
}

function expectCredential(credential: string | null | undefined, stamp: string): string {
  const date = stamp.slice(0, 8);
  if (credential !== `${ACCESS_KEY}/${date}/${REGION}/s3/aws4_request`)
    throw new Refusal(403, "InvalidAccessKeyId");
  return date;
}

/** The signature of a request, in its header or in its address. */
async function checkSignature(request: Request, url: URL): Promise<void> {
  const query = url.search
    .slice(1)
    .split("&")
    .filter((pair) => pair !== "" && !pair.startsWith("X-Amz-Signature="));
  const inAddress = url.searchParams.has("X-Amz-Signature");
  const header = request.headers.get("authorization") ?? "";
  const field = (name: string) => new RegExp(`${name}=([^, ]+)`).exec(header)?.[1];
  const param = (name: string) => url.searchParams.get(`X-Amz-${name}`);
  const stamp = (inAddress ? param("Date") : request.headers.get("x-amz-date")) ?? "";
  const signed = (inAddress ? param("SignedHeaders") : field("SignedHeaders")) ?? "";
  const date = expectCredential(inAddress ? param("Credential") : field("Credential"), stamp);
  const at = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  const lastsMs = inAddress ? Number(param("Expires")) * 1_000 : 15 * 60_000;
  if (!(Date.now() < at + lastsMs)) throw new Refusal(403, "AccessDenied");
  const canonical = [
    request.method,
    url.pathname,
    query.sort().join("&"),
    ...signed.split(";").map((name) => `${name}:${request.headers.get(name)?.trim()}`),
    "",
    signed,
    inAddress ? UNSIGNED : (request.headers.get("x-amz-content-sha256") ?? ""),
  ].join("\n");
  const hash = new Bun.CryptoHasher("sha256").update(canonical).digest("hex");
  const text = `AWS4-HMAC-SHA256\n${stamp}\n${date}/${REGION}/s3/aws4_request\n${hash}`;
  expectSame(inAddress ? param("Signature") : field("Signature"), sign(date, text));
}

/** A browser-based upload: every field must be allowed by the signed policy. */
async function takeForm(request: Request, objects: S3Service["objects"]): Promise<Response> {
  const form = await request.formData();
  const text = (name: string) => {
    const value = form.get(name);
    return typeof value === "string" ? value : undefined;
  };
  const policy = text("policy") ?? "";
  const date = expectCredential(text("x-amz-credential"), text("x-amz-date") ?? "");
  expectSame(text("x-amz-signature"), sign(date, policy));
  if ([...form.keys()].at(-1) !== "file") throw new Refusal(400, "InvalidArgument");
  const file = form.get("file");
  if (!(file instanceof Blob)) throw new Refusal(400, "InvalidArgument");
  const { expiration, conditions } = JSON.parse(Buffer.from(policy, "base64").toString()) as {
    expiration: string;
    conditions: (Record<string, string> | [string, string | number, string | number])[];
  };
  if (!(Date.now() < Date.parse(expiration))) throw new Refusal(403, "AccessDenied");
  const allowed = new Set(["policy", "x-amz-signature", "file"]);
  for (const condition of conditions) {
    const [operator, what, value] = Array.isArray(condition)
      ? condition
      : (["eq", `$${Object.keys(condition)[0]}`, Object.values(condition)[0] ?? ""] as const);
    if (operator === "content-length-range") {
      if (file.size < Number(what)) throw new Refusal(400, "EntityTooSmall");
      if (file.size > Number(value)) throw new Refusal(400, "EntityTooLarge");
      continue;
    }
    const name = String(what).slice(1);
    const given = name === "bucket" ? BUCKET : text(name);
    if (operator !== "eq" || given !== value) throw new Refusal(403, "AccessDenied");
    allowed.add(name);
  }
  for (const name of form.keys()) if (!allowed.has(name)) throw new Refusal(403, "AccessDenied");
  objects.set(text("key") ?? "", { bytes: await file.bytes(), type: "application/octet-stream" });
  return new Response(null, { status: 204 });
}

function list(url: URL, objects: S3Service["objects"]): Response {
  const prefix = url.searchParams.get("prefix") ?? "";
  const after = url.searchParams.get("continuation-token") ?? "";
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, PAGE);
  const escaped = (value: string) => value.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0)};`);
  const next =
    keys.length > PAGE ? `<NextContinuationToken>${escaped(page.at(-1) ?? "")}</NextContinuationToken>` : "";
  return new Response(
    `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>${BUCKET}</Name><IsTruncated>${keys.length > PAGE}</IsTruncated>${next}${page
      .map(
        (key) =>
          `<Contents><Key>${escaped(key)}</Key><Size>${objects.get(key)?.bytes.length}</Size></Contents>`,
      )
      .join("")}</ListBucketResult>`,
    { headers: { "content-type": "application/xml" } },
  );
}

export function s3Service(): S3Service {
  const objects: S3Service["objects"] = new Map();
  const requests: string[] = [];

  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    if (request.method === "POST" && url.pathname === `/${BUCKET}`) return takeForm(request, objects);
    if (!url.pathname.startsWith(`/${BUCKET}/`)) throw new Refusal(404, "NoSuchBucket");
    const key = decodeURIComponent(url.pathname.slice(BUCKET.length + 2));
    const isPublic = request.method === "GET" && key.startsWith("public/");
    if (!isPublic) await checkSignature(request, url);
    if (request.method === "GET" && key === "") return list(url, objects);
    if (request.method === "PUT") {
      objects.set(key, {
        bytes: await request.bytes(),
        type: request.headers.get("content-type") ?? "binary/octet-stream",
      });
      return new Response(null, { headers: { etag: '"e"' } });
    }
    if (request.method === "DELETE") {
      objects.delete(key);
      return new Response(null, { status: 204 });
    }
    const object = objects.get(key);
    if (object === undefined) throw new Refusal(404, "NoSuchKey");
    return new Response(new Uint8Array(object.bytes), { headers: { "content-type": object.type } });
  };

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const response = await answer(request).catch((error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        return new Response(`<Error><Code>${error.code}</Code></Error>`, { status: error.status });
      });
      requests.push(`${request.method} ${new URL(request.url).pathname} ${response.status}`);
      return response;
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    config: {
      s3Host: "127.0.0.1",
      s3Port: server.port ?? 0,
      s3UseSsl: false,
      s3Region: REGION,
      s3Bucket: BUCKET,
      s3AccessKey: ACCESS_KEY,
      s3SecretKey: SECRET_KEY,
    },
    objects,
    requests,
    stop: () => server.stop(true),
  };
}
