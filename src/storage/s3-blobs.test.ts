// Addresses signed here admit to what they were signed for, by a verifier that knows nothing of this code and by Amazon's own example.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { parseConfig } from "../../test/support/config.ts";
import { type S3Service, s3Service } from "../../test/support/s3.ts";
import type { DirectTransfer } from "./blobs.ts";
import { S3Blobs, s3PublicBase, signPolicy } from "./s3-blobs.ts";

const KEY = "sessions/s/attachments/a.enc";

let service: S3Service;
let direct: DirectTransfer;
beforeEach(() => {
  service = s3Service();
  ({ direct } = new S3Blobs({ ...parseConfig({}), ...service.config }));
});
afterEach(() => service.stop());

/** As clients upload: the fields as they came, then the file. */
async function upload(fields: Record<string, string>, size: number, url: string) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set("file", new Blob([new Uint8Array(size).fill(7)]), "a.enc");
  const response = await fetch(url, { method: "POST", body: form });
  return { status: response.status, text: await response.text() };
}

describe("a signed form", () => {
  test("uploads up to its size under its key", async () => {
    const { url, fields } = direct.uploadForm(KEY, 100);
    expect(url).toBe(`${service.url}/${service.config.s3Bucket}`);
    expect(await upload(fields, 0, url)).toMatchObject({ status: 204 });
    expect(await upload(fields, 100, url)).toMatchObject({ status: 204 });
    expect([...service.objects.keys()]).toEqual([KEY]);
    expect(service.objects.get(KEY)?.bytes).toHaveLength(100);
    expect(await upload(fields, 101, url)).toMatchObject({
      status: 400,
      text: expect.stringContaining("EntityTooLarge"),
    });
  });

  test("uploads nothing else", async () => {
    const { url, fields } = direct.uploadForm(KEY, 100);
    for (const changed of [
      { ...fields, key: "public/page.html" },
      { ...fields, acl: "public-read" },
      { ...fields, "x-amz-signature": fields["x-amz-signature"]?.replace(/.$/, "x") ?? "" },
      { ...fields, "x-amz-date": "20200101T000000Z" },
      { ...fields, policy: btoa(JSON.stringify({ expiration: "2999-01-01T00:00:00Z", conditions: [] })) },
    ]) {
      expect(await upload(changed, 1, url)).toMatchObject({ status: 403 });
    }
    expect(service.objects.size).toBe(0);
  });

  test("admits for 15 minutes", () => {
    const before = Date.now();
    const { policy = "" } = direct.uploadForm(KEY, 100).fields;
    const until = Date.parse(JSON.parse(atob(policy)).expiration) - 15 * 60_000;
    expect(until).toBeGreaterThanOrEqual(before);
    expect(until).toBeLessThanOrEqual(Date.now());
  });

  test("is signed like Amazon's example", () => {
    const policy =
      "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    expect(signPolicy(policy, secret, ["20151229", "us-east-1", "s3", "aws4_request"])).toBe(
      "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
    );
  });
});

describe("a signed address", () => {
  test.each([KEY, "sessions/s/attachments/ü b+c&d?e#.enc"])("reads %s, and nothing else", async (key) => {
    service.objects.set(key, { bytes: Buffer.from("blob"), type: "application/octet-stream" });
    service.objects.set("other", { bytes: Buffer.from("other"), type: "application/octet-stream" });
    const url = direct.downloadUrl(key);
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([200, "blob"]);
    const elsewhere = new URL(url);
    elsewhere.pathname = `/${service.config.s3Bucket}/other`;
    expect((await fetch(elsewhere)).status).toBe(403);
    expect((await fetch(url, { method: "DELETE" })).status).toBe(403);
    expect(new URL(url).searchParams.get("X-Amz-Expires")).toBe("900");
  });

  test.each(["sessions/s/attachments/a\\b", "sessions/s/attachments/a\u0000"])(
    "of a name that no blob has finds nothing: %j",
    async (key) => {
      service.objects.set("sessions/s/attachments/a/b", { bytes: Buffer.from("other"), type: "a/b" });
      expect((await fetch(direct.downloadUrl(key))).status).toBe(404);
    },
  );
});

test("a store that refuses or is away is an error that says so, without keys", async () => {
  const wrong = new S3Blobs({ ...parseConfig({}), ...service.config, s3SecretKey: "wrong" });
  const refusal = await wrong.put("k/a", [Buffer.from("x")]).catch((error: unknown) => error);
  expect(refusal).toMatchObject({
    code: "failed",
    message: "The S3 store could not be used (SignatureDoesNotMatch). Try again later.",
  });
  await service.stop();
  const away = new S3Blobs({ ...parseConfig({}), ...service.config });
  await expect(away.removeFolder("k")).rejects.toThrow("The S3 store could not be used");
});

test("settings that miss something are refused at the start", () => {
  const { s3Bucket: _, ...config } = service.config;
  expect(() => new S3Blobs({ ...parseConfig({}), ...config })).toThrow("S3_BUCKET");
});

test.each([
  [{ s3Host: "s3.example", s3UseSsl: true, s3Bucket: "b" }, "https://s3.example/b"],
  [{ s3Host: "s3.example", s3UseSsl: true, s3Port: 443, s3Bucket: "b" }, "https://s3.example/b"],
  [{ s3Host: "minio", s3UseSsl: false, s3Port: 9000, s3Bucket: "b" }, "http://minio:9000/b"],
  [{ s3Host: "minio", s3Bucket: "b", s3PublicUrl: "https://cdn.example/x/" }, "https://cdn.example/x"],
])("clients read public files of %j under %s", (config, base) => {
  expect(s3PublicBase(config)).toBe(base);
});
