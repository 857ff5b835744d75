// Debug logs of clients: taken only when switched on, kept as they came, never more than the bound.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, newAccount } from "../../test/support/happy-client.ts";
import { testServer } from "../../test/support/server.ts";
import { createLog } from "../observability/log.ts";
import { ClientLogs } from "./client-logs.ts";

const PATH = "/logs-combined-from-cli-and-mobile-for-simple-ai-debugging";
const RECORD = { timestamp: "2026-01-02T03:04:05Z", level: "WARNING", message: "m", source: "cli" } as const;

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "roost-logs-"));
  folder = join(home, "logs");
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const lines = () =>
  readdirSync(folder)
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n"))
    .map((line) => JSON.parse(line));

describe("over HTTP", () => {
  test("a record is stored with its level in plain words, in a file for the owner only", async () => {
    const server = await testServer({ happyClientLogs: true, happyClientLogsDir: folder });
    const answer = await call(server.url, undefined, "POST", PATH, {
      ...RECORD,
      messageRawObject: { a: [1, null] },
      platform: "ios",
      unknown: "dropped",
    });
    expect([answer.status, answer.body]).toEqual([200, { success: true }]);
    for (const level of ["Error", "debug", "trace"]) {
      await call(server.url, undefined, "POST", PATH, { ...RECORD, source: "mobile", level });
    }
    expect(lines()).toEqual([
      {
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        level: "warn",
        timestamp: RECORD.timestamp,
        message: "m",
        source: "cli",
        platform: "ios",
        raw: { a: [1, null] },
      },
      expect.objectContaining({ level: "error", source: "mobile" }),
      expect.objectContaining({ level: "debug" }),
      expect.objectContaining({ level: "info" }),
    ]);
    const [name = ""] = readdirSync(folder);
    expect(name).toMatch(/^\d\d-\d\d-\d\d-\d\d-\d\d\.log$/);
    if (process.platform !== "win32") expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const bad = await call(server.url, undefined, "POST", PATH, { ...RECORD, source: "web" });
    expect([bad.status, bad.body.message]).toEqual([
      400,
      'body/source Invalid option: expected one of "mobile"|"cli"',
    ]);
    const account = await newAccount(server.url);
    expect((await call(server.url, undefined, "POST", "/v1/dev/logs", RECORD)).status).toBe(401);
    expect((await account.call("POST", "/v1/dev/logs", RECORD)).body).toEqual({ success: true });
    expect(lines()).toHaveLength(5);
    await server.stop();
  });

  test("switched off, both addresses are unknown and nothing is written", async () => {
    const server = await testServer({ happyClientLogsDir: folder });
    const account = await newAccount(server.url);
    for (const path of [PATH, "/v1/dev/logs"]) {
      const answer = await account.call("POST", path, RECORD);
      expect([answer.status, answer.body]).toEqual([404, { error: "Not found", path, method: "POST" }]);
    }
    expect(existsSync(folder)).toBe(false);
    await server.stop();
  });

  test("a folder that cannot be written is the server's problem, not the client's", async () => {
    writeFileSync(folder, "a file where the folder should be");
    const server = await testServer({
      happyClientLogs: true,
      happyClientLogsDir: folder,
      logLevel: "silent",
    });
    expect((await call(server.url, undefined, "POST", PATH, RECORD)).body).toEqual({ success: true });
    await server.stop();
  });
});

describe("the bound", () => {
  const log = createLog("silent");
  const message = "x".repeat(100);

  test("a full file is followed by a new one, and the oldest goes", async () => {
    const logs = new ClientLogs(folder, log, { maxFileBytes: 1_000, maxFiles: 3 });
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => logs.append({ ...RECORD, message, platform: `${index}` })),
    );
    const names = readdirSync(folder);
    expect(names).toHaveLength(3);
    for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(1_000);
    expect(lines().map(({ platform }) => platform)).toContain("39");
    expect(lines().map(({ platform }) => platform)).not.toContain("0");
  });

  test("files of earlier runs count, other files are left alone, and a record that fits nowhere is dropped", async () => {
    const first = new ClientLogs(folder, log, { maxFileBytes: 1_000, maxFiles: 2 });
    await first.append(RECORD, Date.UTC(2025, 11, 31, 12));
    writeFileSync(join(folder, "notes.txt"), "mine");
    const second = new ClientLogs(folder, log, { maxFileBytes: 1_000, maxFiles: 2 });
    await second.append({ ...RECORD, message: "x".repeat(2_000) });
    for (let day = 1; day <= 2; day++) {
      for (let record = 0; record < 5; record++) {
        await second.append({ ...RECORD, message: "x".repeat(400) }, Date.UTC(2026, 0, day, 12));
      }
    }
    const names = readdirSync(folder).sort();
    expect(names).toHaveLength(3);
    expect(names).toContain("notes.txt");
    expect(names.filter((name) => name.startsWith("12-31"))).toEqual([]);
  });
});
