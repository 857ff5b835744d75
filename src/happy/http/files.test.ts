// Public files are served to anybody; nothing else of the store is (HTTP contract 3.3).
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
  const files = join(server.dataDir, "files");
  mkdirSync(join(files, "public/users/u/avatars"), { recursive: true });
  writeFileSync(join(files, "public/users/u/avatars/github_a.png"), "0123456789");
  writeFileSync(join(files, "public/page.html"), "<script>");
  mkdirSync(join(files, "sessions/s/attachments"), { recursive: true });
  writeFileSync(join(files, "sessions/s/attachments/a.enc"), "private");
  writeFileSync(join(files, "publicity.png"), "private");
});
afterAll(() => server.stop());

const AVATAR = "/files/public/users/u/avatars/github_a.png";

test("a public file comes with its type, its length, and in parts on request", async () => {
  const whole = await fetch(server.url + AVATAR);
  expect(whole.status).toBe(200);
  expect(Object.fromEntries(whole.headers)).toMatchObject({
    "content-type": "image/png",
    "content-length": "10",
    "accept-ranges": "bytes",
    "access-control-allow-origin": "*",
  });
  expect(await whole.text()).toBe("0123456789");
  const head = await fetch(server.url + AVATAR, { method: "HEAD" });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, "10"]);
  const part = async (range: string) => {
    const response = await fetch(server.url + AVATAR, { headers: { range } });
    const { headers } = response;
    return [
      response.status,
      headers.get("content-range"),
      headers.get("accept-ranges"),
      await response.text(),
    ];
  };
  expect(await part("bytes=2-4")).toEqual([206, "bytes 2-4/10", "bytes", "234"]);
  expect(await part("bytes=-3")).toEqual([206, "bytes 7-9/10", "bytes", "789"]);
  expect(await part("bytes=20-")).toEqual([416, "bytes */10", "bytes", ""]);
});

test("what is not an image is bytes", async () => {
  const response = await fetch(`${server.url}/files/public/page.html`);
  expect(response.headers.get("content-type")).toBe("application/octet-stream");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
});

const refused: [string, number, string][] = [
  ["/files/", 403, "Forbidden"],
  ["/files//", 403, "Forbidden"],
  ["/files/%2e%2e%2fmaster-secret", 403, "Forbidden"],
  ["/files/public/..%2F..%2F..%2Fetc%2Fpasswd", 403, "Forbidden"],
  ["/files/%2Fetc%2Fpasswd", 403, "Forbidden"],
  ["/files/..%2Froot", 403, "Forbidden"],
  ["/files/public/none.png", 404, "Not found"],
  ["/files/public", 404, "Not found"],
  ["/files/public/", 404, "Not found"],
  ["/files/public/users", 404, "Not found"],
  ["/files/public/page.html%00.png", 404, "Not found"],
  ["/files/public/..%5c..%5cmaster-secret", 404, "Not found"],
  ["/files/publicity.png", 404, "Not found"],
  ["/files/sessions/s/attachments/a.enc", 404, "Not found"],
  ["/files/public/..%2Fsessions%2Fs%2Fattachments%2Fa.enc", 404, "Not found"],
];
test.each(refused)("%s answers %i %s", async (path, status, text) => {
  const answer = await raw(path);
  expect(answer).toStartWith(`HTTP/1.1 ${status} `);
  expect(answer.toLowerCase()).toContain("content-type: text/plain");
  expect(answer).toEndWith(`\r\n\r\n${text}`);
});

test("the path without its slash is not a file route", async () => {
  const response = await fetch(`${server.url}/files`);
  expect([response.status, await response.json()]).toEqual([
    404,
    { error: "Not found", path: "/files", method: "GET" },
  ]);
});

/** As written, without what a client would tidy up. */
function raw(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let answer = "";
    socket.on("data", (data) => {
      answer += data;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
  });
}
