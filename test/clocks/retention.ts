// A clock that is a year ahead makes everything old. Nothing is deleted for that, neither by the server, nor after a restart, nor by
// the command, until the clock is right or a person says that it is.
import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerProcess } from "../faults/server-process.ts";
import { clockTest, type FakeClock, fakeClock, startWithClock, YEAR_MS } from "../support/fake-clock.ts";
import { type Account, accountWith, newAccount } from "../support/happy-client.ts";
import { runRoost } from "../support/process.ts";
import { signedToken, site, TOPICS_SECRET, userWith } from "../support/topics-client.ts";
import { until } from "../support/until.ts";

const home = mkdtempSync(join(tmpdir(), "roost-old-"));
const dataDir = join(home, "data");
const servers: ServerProcess[] = [];
afterAll(async () => {
  for (const server of servers) await server.end("SIGKILL");
  rmSync(home, { recursive: true, force: true });
});

const RULES = {
  ROOST_RETENTION_SESSIONS_DAYS: "90",
  ROOST_RETENTION_ATTACHMENTS_DAYS: "90",
  ROOST_REALTIME_RETENTION_DAYS: "7",
  ROOST_TOPICS_ENABLED: "true",
  JWT_SECRET: TOPICS_SECRET,
  ADMIN_USERNAME: "admin",
  ADMIN_PASSWORD: "admin123",
};
const REFUSED = "Nothing is deleted by its age";

async function started(clock: FakeClock): Promise<ServerProcess> {
  const server = await startWithClock({ dataDir, env: { ROOST_LOG_LEVEL: "info", ...RULES } }, clock);
  servers.push(server);
  return server;
}

async function roost(clock: FakeClock, ...words: string[]) {
  const env = { ...RULES, ...clock.env };
  const { stdout, stderr, code } = await runRoost([...words, "--data-dir", dataDir], { env });
  return { code, said: stdout + stderr };
}

const refusals = (server: ServerProcess) => server.output.stdout.split(REFUSED).length - 1;

async function events(url: string, clock: FakeClock): Promise<number> {
  const exp = Math.floor(clock.now() / 1_000) + 600;
  const reader = await userWith(url, await signedToken({ exp })).connect();
  const { lastEventId } = await reader.ask("request:websites", { lastEventId: 0 });
  const answer = await reader.ask("request:websites", { lastEventId: lastEventId - 1 });
  reader.close();
  return answer.reason === "overflow" ? 0 : answer.count;
}

clockTest.concurrent("a year ahead nothing old is deleted, and everybody is told", async () => {
  using clock = fakeClock();
  let server = await started(clock);
  let account: Account = await newAccount(server.url);
  const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  const sid: string = body.session.id;
  await account.call("POST", `/v3/sessions/${sid}/messages`, {
    messages: [{ content: "c", localId: "l" }],
  });
  const put = await fetch(`${server.url}/v1/sessions/${sid}/attachments/a.enc`, {
    method: "PUT",
    headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
    body: "bytes",
  });
  expect(put.status).toBe(200);
  expect((await account.call("POST", `/v1/sessions/${sid}/archive`)).status).toBe(200);
  const admin = userWith(server.url, await signedToken({ exp: Math.floor(Date.now() / 1_000) + 600 }));
  for (const n of [1, 2])
    expect((await admin.post("/websites/create", site(`w${n}.example.org`))).body.code).toBe(0);
  await server.end("SIGTERM");

  const isThere = async () => {
    const { body: page } = await account.call("GET", `/v3/sessions/${sid}/messages`);
    const file = await account.call("GET", `/v1/sessions/${sid}/attachments/a.enc`);
    return [page.messages?.length, file.status, await events(server.url, clock)];
  };

  clock.move(YEAR_MS);
  // Twice: what is stored in the first of these lives, with the wrong time, does not convince the second.
  for (let life = 0; life < 2; life++) {
    server = await started(clock);
    account = accountWith(server.url, account.token);
    const stranger = await newAccount(server.url);
    await stranger.call("POST", "/v1/sessions", { tag: "now", metadata: "m" });
    await until("both refuse", () => refusals(server) === 2);
    expect(await isThere()).toEqual([1, 200, 1]);
    await server.end("SIGTERM");
  }
  const doctor = await roost(clock, "doctor");
  expect([doctor.code, doctor.said]).toEqual([
    1,
    expect.stringMatching(/FAILURE.*retention +Nothing is deleted/),
  ]);
  const refused = await roost(clock, "prune");
  expect([refused.code, refused.said]).toEqual([1, expect.stringContaining("roost prune --now-is-right")]);
  expect((await roost(clock, "topics", "prune")).code).toBe(1);
  const look = await roost(clock, "prune", "--dry-run");
  expect([look.code, look.said]).toEqual([0, expect.stringContaining(REFUSED)]);

  clock.move(-YEAR_MS);
  server = await started(clock);
  account = accountWith(server.url, account.token);
  const right = performance.now();
  await until("its first round is over", () => performance.now() - right > 7_000);
  expect(refusals(server)).toBe(0);
  expect(await isThere()).toEqual([1, 200, 1]);

  // It is a year later indeed.
  clock.move(YEAR_MS);
  const said = await roost(clock, "prune", "--now-is-right");
  expect([said.code, said.said]).toEqual([0, expect.stringContaining("Deleted: 1 sessions, 1 messages")]);
  expect((await account.call("GET", `/v3/sessions/${sid}/messages`)).status).toBe(404);
});
