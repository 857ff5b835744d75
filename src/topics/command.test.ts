// `roost topics`: users come and go beside a running server, and their passwords never show.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runRoost } from "../../test/support/process.ts";
import {
  call,
  login,
  openRows,
  signedToken,
  topicsServer,
  userWith,
} from "../../test/support/topics-client.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-users-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

/** The command as a process of its own, with a password on its standard input. */
async function topics(words: string[], password = ""): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await runRoost(["topics", ...words, "--data-dir", dataDir], {
    stdin: password,
  });
  return { code, out: stdout, err: stderr };
}

test("a user is added, can log in at once, gets another password, and is disabled and enabled again", async () => {
  const server = await topicsServer({
    dataDir,
    topicsAdminUsername: undefined,
    topicsAdminPassword: undefined,
  });
  const attempt = async (password: string) =>
    (await call(server.url, "POST", "/auth/login", { username: "alice", password })).body.code;
  expect(await attempt("first")).toBe(1002);

  const added = await topics(["user", "add", "alice", "--role", "editor"], "first\n");
  expect([added.code, added.out]).toEqual([0, 'User "alice" was added with the role "editor".\n']);
  expect(await attempt("first")).toBe(0);
  const alice = await login(server.url, "alice", "first");
  expect((await alice.get("/me")).body.data).toEqual({ uid: 1, username: "alice", role: "editor" });

  await topics(["user", "passwd", "alice"], "second");
  expect([await attempt("first"), await attempt("second")]).toEqual([1002, 0]);

  await topics(["user", "disable", "alice"]);
  expect(await attempt("second")).toBe(1004);
  await topics(["user", "enable", "alice"]);
  expect(await attempt("second")).toBe(0);

  const { out } = await topics(["user", "list"]);
  expect(out).toMatch(/^ID +NAME +ROLE +STATUS +SINCE\n1 +alice +editor +active +\d{4}-\d\d-\d\dT/);
  expect(out).not.toContain("$2");
  await server.stop();
});

test("without a server the database is made, for the owner's eyes only", async () => {
  expect((await topics(["user", "add", "bob"], "secret")).code).toBe(0);
  expect(statSync(join(dataDir, "topics.db")).mode & 0o777).toBe(0o600);
  const rows = openRows({ dataDir });
  const user = rows.query<{ password_hash: string }, []>("SELECT password_hash FROM users").get();
  rows.close();
  expect(user?.password_hash).toStartWith("$2b$10$");
});

test.each<[string, string[], string, number, string]>([
  ["a name that is taken", ["user", "add", "bob"], "other", 1, 'There is already a user "bob".'],
  ["nobody", ["user", "disable", "eve"], "", 1, 'There is no user "eve".'],
  ["an empty password", ["user", "add", "eve"], "\n", 1, "The password is empty; nothing was changed."],
  ["an unknown word", ["user", "remove", "bob"], "", 2, "Usage:"],
  ["no word", [], "", 2, "Usage:"],
  ["a role where none belongs", ["user", "disable", "bob", "--role", "x"], "", 2, "--role goes with"],
  ["a name that is too long", ["user", "add", "x".repeat(65)], "secret", 2, "at most 64 characters"],
])("%s is one clear sentence", async (_name, words, password, code, sentence) => {
  await topics(["user", "add", "bob"], "secret");
  const answer = await topics(words, password);
  expect([answer.code, answer.out]).toEqual([code, ""]);
  expect(answer.err).toContain(sentence);
  expect(answer.err).not.toContain("    at ");
});

test("prune deletes old events beside a running server, which then knows", async () => {
  const server = await topicsServer({ dataDir });
  const admin = userWith(server.url, await signedToken({ exp: Math.floor(Date.now() / 1000) + 60 }));
  for (const name of ["a", "b", "c"]) {
    await admin.post("/websites/create", {
      line_group_id: 1,
      domains: [`${name}.example.com`],
      origin_mode: "redirect",
      redirect_url: "/",
    });
  }
  const rows = openRows(server);
  rows.run("UPDATE ws_events SET created_at = 1 WHERE id <= 2");
  rows.close();
  expect((await topics(["prune"])).out).toBe("2 old events were deleted.\n");
  const heard = await admin.connect();
  expect((await heard.ask("request:websites", { lastEventId: 1 })).reason).toBe("pruned");
  expect((await heard.ask("request:websites", { lastEventId: 2 })).reason).toBe("replay");
  heard.close();
  await server.stop();
});
