// With S3 the bytes of attachments go between client and bucket; this server only signs, and refuses to carry them.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Account, newAccount } from "../../../test/support/happy-client.ts";
import { type S3Service, s3Service } from "../../../test/support/s3.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let bucket: S3Service;
let server: TestServer;
beforeAll(async () => {
  bucket = s3Service();
  server = await testServer(bucket.config);
});
afterAll(async () => {
  await server.stop();
  await bucket.stop();
});

let account: Account;
let sid: string;
beforeEach(async () => {
  account = await newAccount(server.url);
  sid = (await account.call("POST", "/v1/sessions", { tag: "t", metadata: "bQ==" })).body.session.id;
});

async function upload(text: string): Promise<string> {
  const path = `/v1/sessions/${sid}/attachments/request-upload`;
  const { status, body } = await account.call("POST", path, { filename: "a", size: text.length });
  expect([status, body]).toEqual([
    200,
    {
      ref: expect.stringMatching(new RegExp(`^sessions/${sid}/attachments/[0-9a-f-]{36}\\.enc$`)),
      uploadUrl: `${bucket.url}/${bucket.config.s3Bucket}`,
      method: "POST",
      formFields: expect.objectContaining({ key: body.ref }),
    },
  ]);
  const form = new FormData();
  for (const [name, value] of Object.entries(body.formFields)) form.set(name, String(value));
  form.set("file", new Blob([text]), "attachment");
  expect((await fetch(body.uploadUrl, { method: "POST", body: form })).status).toBe(204);
  return body.ref;
}

test("an attachment goes to the bucket and comes back from it", async () => {
  const ref = await upload("sealed");
  expect(Buffer.from(bucket.objects.get(ref)?.bytes ?? []).toString()).toBe("sealed");
  const offered = await account.call("POST", `/v1/sessions/${sid}/attachments/request-download`, { ref });
  expect(offered.status).toBe(200);
  expect(await (await fetch(offered.body.downloadUrl)).text()).toBe("sealed");
  const direct = await account.call("GET", `/v1/${ref}`);
  expect(direct.status).toBe(302);
  expect(await (await fetch(direct.headers.get("location") ?? "")).text()).toBe("sealed");
  expect(existsSync(join(server.dataDir, "files"))).toBe(false);
});

test("bytes are not taken, and files not served", async () => {
  const answer = await fetch(`${server.url}/v1/sessions/${sid}/attachments/a.enc`, {
    method: "PUT",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
    body: "x",
  });
  expect([answer.status, await answer.json()]).toEqual([
    404,
    { error: "Direct upload not available in S3 mode" },
  ]);
  const file = await account.call("GET", "/files/public/a.png");
  expect([file.status, file.body]).toEqual([
    404,
    { error: "Not found", path: "/files/public/a.png", method: "GET" },
  ]);
});

test("the checks before are the same", async () => {
  const stranger = await newAccount(server.url);
  for (const [method, file, body] of [
    ["POST", "request-upload", { filename: "a", size: 1 }],
    ["POST", "request-download", { ref: `sessions/${sid}/attachments/a` }],
    ["GET", "a.enc", undefined],
  ] as const) {
    const answer = await stranger.call(method, `/v1/sessions/${sid}/attachments/${file}`, body);
    expect([answer.status, answer.body]).toEqual([404, { error: "Session not found" }]);
  }
  const ref = `sessions/${sid}/attachments/../../x`;
  const answer = await account.call("POST", `/v1/sessions/${sid}/attachments/request-download`, { ref });
  expect([answer.status, answer.body]).toEqual([400, { error: "Invalid attachment ref" }]);
});

test("a deleted session takes its blobs along, however many, and a bucket that is away does not keep it", async () => {
  const refs = [
    await upload("1"),
    await upload("2"),
    await upload("3"),
    await upload("4"),
    await upload("5"),
  ];
  bucket.objects.set("sessions/other/attachments/a", { bytes: Buffer.from("x"), type: "a/b" });
  expect((await account.call("DELETE", `/v1/sessions/${sid}`)).body).toEqual({ success: true });
  expect(refs.filter((ref) => bucket.objects.has(ref))).toEqual([]);
  expect(bucket.objects.has("sessions/other/attachments/a")).toBe(true);
  const second = (await account.call("POST", "/v1/sessions", { tag: "u", metadata: "bQ==" })).body.session.id;
  await bucket.stop();
  expect((await account.call("DELETE", `/v1/sessions/${second}`)).body).toEqual({ success: true });
});
