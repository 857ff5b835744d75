// The disk refuses to make the log durable. A system may forget such pages and say that all is well the next time, so nothing is tried
// again: writes are refused, the server says why and ends without touching the database, and the next start says what has happened and
// has everything that was acknowledged. Refused by the system itself, as seen by the server.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Account, accountWith, newAccount } from "../support/happy-client.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { until } from "../support/until.ts";
import { inspect } from "./database-file.ts";
import { powerTest } from "./power-loss/recording.ts";
import { refusedProcess, type ServerProcess, startProcess } from "./server-process.ts";

const BOUND_MS = 90_000;
const ENV = { ROOST_RATE_LIMITS: "false" };
const { freshFolder, started, undo } = nothingLeftBehind("failed-sync", { env: ENV });

/** The calls by which the log is synced fail for each thread from its `from`th on. */
const refusing = (dataDir: string, code: string, from: number) => [
  "strace",
  ...["-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-P", join(dataDir, "happy.db-wal")],
  ...["-e", "trace=fdatasync", "-e", `inject=fdatasync:error=${code}:when=${from}+`, "--"],
];

/** Far more than a start and an account need. */
const FIRST_REFUSED = 20;

async function ended(server: ServerProcess): Promise<number> {
  const code = await Promise.race([server.exited, Bun.sleep(20_000).then(() => -1)]);
  expect(code).not.toBe(-1);
  return code;
}

/** Posts until the server refuses. */
async function writeUntilRefused(account: Account, sid: string, name: string, acknowledged: string[]) {
  for (let n = 0; ; n++) {
    const localId = `${name}-${n}`;
    const answer = await account
      .call("POST", `/v3/sessions/${sid}/messages`, { messages: [{ content: `c ${localId}`, localId }] })
      .catch(() => ({ status: 0, body: {} }));
    if (answer.status !== 200) return answer;
    acknowledged.push(localId);
  }
}

async function storedIn(account: Account, sid: string): Promise<string[]> {
  const found: string[] = [];
  for (let hasMore = true, last = 0; hasMore; ) {
    const { body } = await account.call("GET", `/v3/sessions/${sid}/messages?after_seq=${last}&limit=500`);
    for (const { localId, seq } of body.messages) {
      found.push(localId);
      last = seq;
    }
    hasMore = body.hasMore;
  }
  return found;
}

for (const code of ["EIO", "ENOSPC"])
  powerTest(
    `after ${code} nothing more is stored, the server ends, and what was acknowledged is there at the next start`,
    async () => {
      const dataDir = realpathSync(freshFolder());
      const wrapper = refusing(dataDir, code, FIRST_REFUSED);
      const server = await startProcess({ dataDir, env: ENV, wrapper });
      undo(() => server.end("SIGKILL"));
      const account = await newAccount(server.url);
      const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
      const sid: string = body.session.id;
      const phone = await account.connect();
      const gone = new Promise<string>((resolve) => phone.socket.once("disconnect", resolve));
      const acknowledged: string[] = [];
      const ends = await Promise.all(
        ["a", "b", "c"].map((name) => writeUntilRefused(account, sid, name, acknowledged)),
      );
      const sentence = `The disk could not make the log of happy.db durable (${code}): nothing is stored any more, and the server ends.`;
      const refused = ends.filter(({ status }) => status === 503);
      expect(refused.length).toBeGreaterThan(0);
      for (const answer of refused) expect(answer.body.message).toStartWith(sentence);
      expect(await gone).toBe("transport close");
      expect(await ended(server)).toBe(1);
      expect(server.logged(60).map(({ msg }) => msg)[0]).toStartWith(sentence);
      const announced = phone.updates.map((update) => update.body.message?.localId).filter(Boolean);
      // Nobody has closed the database, which would have moved pages that the disk may not have.
      expect(statSync(join(dataDir, "happy.db-wal")).size).toBeGreaterThan(0);
      const marker = join(dataDir, "happy.db-unsynced");
      expect(statSync(marker).mode & 0o777).toBe(0o600);

      const again = await started(dataDir);
      const said = again.logged(40).map(({ msg }) => msg);
      expect(said.filter((msg) => msg.includes("the disk refused to sync the log"))).toHaveLength(1);
      const stored = new Set(await storedIn(accountWith(again.url, account.token), sid));
      expect(acknowledged.length).toBeGreaterThan(FIRST_REFUSED / 2);
      for (const known of [acknowledged, announced])
        expect(known.filter((localId) => !stored.has(localId))).toEqual([]);
      await until("the mark to be forgotten", () => !existsSync(marker));
      expect(await again.end("SIGTERM")).toBe(0);
      expect(inspect(join(dataDir, "happy.db")).integrity).toEqual(["ok"]);
      const third = await started(dataDir);
      expect(third.logged(40)).toEqual([]);
      phone.close();
    },
    BOUND_MS,
  );

powerTest(
  "a start that cannot make durable what a killed process has left refuses, and touches nothing",
  async () => {
    const dataDir = realpathSync(freshFolder());
    const first = await started(dataDir);
    const account = await newAccount(first.url);
    await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
    await first.end("SIGKILL");
    const size = statSync(join(dataDir, "happy.db")).size;
    const refused = await refusedProcess({ dataDir, env: ENV, wrapper: refusing(dataDir, "EIO", 1) });
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("roost: The disk could not make the log of happy.db durable (EIO)"),
    ]);
    expect(statSync(join(dataDir, "happy.db")).size).toBe(size);
    expect(statSync(join(dataDir, "happy.db-wal")).size).toBeGreaterThan(0);
    const again = await started(dataDir);
    expect(again.logged(40).map(({ msg }) => msg)).toEqual([
      expect.stringContaining("the disk refused to sync the log"),
    ]);
    const { body } = await accountWith(again.url, account.token).call("GET", "/v1/sessions");
    expect(body.sessions).toHaveLength(1);
  },
  BOUND_MS,
);

test(
  "a file of that name that somebody else has made keeps no server from starting",
  async () => {
    const dataDir = freshFolder();
    mkdirSync(join(dataDir, "happy.db-unsynced"));
    const server = await started(dataDir);
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    await server.end("SIGTERM");

    const other = freshFolder();
    writeFileSync(join(other, "happy.db-unsynced"), "mine", { mode: 0o444 });
    const again = await started(other);
    expect((await fetch(`${again.url}/ready`)).status).toBe(200);
    await until("the file to be gone after the look", () => !existsSync(join(other, "happy.db-unsynced")));
  },
  BOUND_MS,
);
