// A database's files are deleted or replaced under the running server. It notices, says so, refuses writes, closes its sockets so that
// clients come back, and ends with an error. What it acknowledged is in the database, or in a file of its own beside it.
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Account, accountWith, newAccount } from "../support/happy-client.ts";
import { nothingLeftBehind } from "../support/left-behind.ts";
import { inspect } from "./database-file.ts";
import { refusedProcess, type ServerProcess } from "./server-process.ts";

const BOUND_MS = 60_000;

const { freshFolder, started } = nothingLeftBehind("replaced", { env: { ROOST_RATE_LIMITS: "false" } });

class Scene {
  readonly acknowledged: string[] = [];
  readonly path: string;

  private constructor(
    readonly dataDir: string,
    readonly server: ServerProcess,
    readonly account: Account,
    readonly sid: string,
  ) {
    this.path = join(dataDir, "happy.db");
  }

  static async open(): Promise<Scene> {
    const dataDir = freshFolder();
    const server = await started(dataDir);
    const account = await newAccount(server.url);
    const { body } = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
    return new Scene(dataDir, server, account, body.session.id);
  }

  /** Status 0 when nobody answers. */
  async post(localId: string): Promise<number> {
    const messages = [{ content: `content of ${localId}`, localId }];
    const { status } = await this.account
      .call("POST", `/v3/sessions/${this.sid}/messages`, { messages })
      .catch(() => ({ status: 0 }));
    if (status === 200) this.acknowledged.push(localId);
    return status;
  }

  async post20(name: string): Promise<void> {
    for (let n = 0; n < 20; n++) expect(await this.post(`${name}-${n}`)).toBe(200);
  }

  /** What a server of this folder has of the session. */
  async storedIn(server: ServerProcess): Promise<string[]> {
    const account = accountWith(server.url, this.account.token);
    const found: string[] = [];
    for (let hasMore = true; hasMore; ) {
      const path = `/v3/sessions/${this.sid}/messages?after_seq=${found.length}&limit=500`;
      const { body } = await account.call("GET", path);
      found.push(...body.messages.map(({ localId }: { localId: string }) => localId));
      hasMore = body.hasMore;
    }
    return found;
  }

  get rescued(): string[] {
    return readdirSync(this.dataDir).filter((name) => name.includes(".rescued-") && !name.includes(".old-"));
  }
}

/** Its exit code; it must end by itself. */
async function ended(server: ServerProcess): Promise<number> {
  const code = await Promise.race([server.exited, Bun.sleep(20_000).then(() => -1)]);
  expect(code).not.toBe(-1);
  return code;
}

for (const suffix of ["-wal", "-shm"])
  test(
    `happy.db${suffix} is deleted while clients write: the server ends, and everything acknowledged is there afterwards`,
    async () => {
      const scene = await Scene.open();
      const phone = await scene.account.connect();
      const gone = new Promise<string>((resolve) => phone.socket.once("disconnect", resolve));
      await scene.post20("before");
      let refused = 0;
      const writers = ["a", "b", "c", "d"].map(async (name) => {
        for (let n = 0; ; n++) {
          const status = await scene.post(`${name}-${n}`);
          if (status === 200) continue;
          if (status === 503) refused++;
          return;
        }
      });
      await Bun.sleep(200);
      rmSync(`${scene.path}${suffix}`);
      await Promise.all(writers);
      expect(refused).toBeGreaterThan(0);
      expect(await gone).toBe("transport close");
      expect(await ended(scene.server)).toBe(1);
      const said = scene.server.logged(60).map(({ msg }) => msg);
      expect(said[0]).toStartWith(
        `The file happy.db${suffix} was replaced or deleted while the server uses it`,
      );
      expect(scene.rescued).toEqual([]);
      const stored = new Set(await scene.storedIn(await started(scene.dataDir)));
      expect(scene.acknowledged.length).toBeGreaterThan(20);
      expect(scene.acknowledged.filter((localId) => !stored.has(localId)).slice(0, 3)).toEqual([]);
    },
    BOUND_MS,
  );

test(
  "an idle server whose log is deleted is not ready, and ends too",
  async () => {
    const scene = await Scene.open();
    await scene.post20("before");
    rmSync(`${scene.path}-wal`);
    const ready = await fetch(`${scene.server.url}/ready`);
    expect([ready.status, await ready.json()]).toMatchObject([
      503,
      { problems: { happy: expect.stringContaining("happy.db-wal was replaced or deleted") } },
    ]);
    expect(await ended(scene.server)).toBe(1);
    expect(await scene.storedIn(await started(scene.dataDir))).toEqual(scene.acknowledged);
  },
  BOUND_MS,
);

test(
  "another database is moved over the live one: it stays as it is, and what was acknowledged is kept beside it",
  async () => {
    const scene = await Scene.open();
    await scene.post20("before");
    const other = join(scene.dataDir, "restored");
    const script = `new (require("bun:sqlite").Database)(process.argv[1]).query("VACUUM INTO ?").run(process.argv[2])`;
    expect(Bun.spawnSync([process.execPath, "-e", script, scene.path, other]).exitCode).toBe(0);
    await scene.post20("after");
    const hash = () => createHash("sha256").update(readFileSync(scene.path)).digest("hex");
    renameSync(other, scene.path);
    const restored = hash();
    expect(await ended(scene.server)).toBe(1);
    expect(hash()).toBe(restored);
    expect(readdirSync(scene.dataDir)).not.toContain("happy.db-wal");
    const [kept = "", ...more] = scene.rescued;
    expect(more).toEqual([]);
    expect(statSync(join(scene.dataDir, kept)).mode & 0o777).toBe(0o600);
    expect(inspect(join(scene.dataDir, kept))).toMatchObject({
      integrity: ["ok"],
      sessions: [{ messages: scene.acknowledged.length }],
    });
    const again = await started(scene.dataDir);
    expect(await scene.storedIn(again)).toEqual(scene.acknowledged.slice(0, 20));
    expect(again.logged(40).map(({ msg }) => msg)).toContainEqual(
      expect.stringContaining("an earlier run has kept what it could not store"),
    );
    await again.end("SIGTERM");
    expect(inspect(scene.path).integrity).toEqual(["ok"]);
  },
  BOUND_MS,
);

test(
  "the database is deleted: the next start says where everything is instead of beginning anew",
  async () => {
    const scene = await Scene.open();
    await scene.post20("before");
    rmSync(scene.path);
    expect(await ended(scene.server)).toBe(1);
    const [kept = ""] = scene.rescued;
    const refused = await refusedProcess({ dataDir: scene.dataDir });
    expect([refused.code, refused.stderr]).toEqual([
      1,
      `roost: The database ${scene.path} is gone, but what it held was kept as ${join(scene.dataDir, kept)}. Rename that to happy.db to go on with it, or move it away to begin anew.\n`,
    ]);
    renameSync(join(scene.dataDir, kept), scene.path);
    expect(await scene.storedIn(await started(scene.dataDir))).toEqual(scene.acknowledged);
  },
  BOUND_MS,
);

test(
  "the log is deleted and another program has begun a new one: nothing is mixed, everything is kept beside",
  async () => {
    const scene = await Scene.open();
    await scene.post20("before");
    rmSync(`${scene.path}-wal`);
    rmSync(`${scene.path}-shm`);
    const script = `const db = new (require("bun:sqlite").Database)(process.argv[1]); db.run("CREATE TABLE other (a)"); db.run("INSERT INTO other VALUES (1)"); db.close(true);`;
    expect(Bun.spawnSync([process.execPath, "-e", script, scene.path]).exitCode).toBe(0);
    expect(await ended(scene.server)).toBe(1);
    const [kept = ""] = scene.rescued;
    expect(inspect(join(scene.dataDir, kept)).sessions[0]?.messages).toBe(scene.acknowledged.length);
  },
  BOUND_MS,
);

test(
  "the log is deleted while all was in it, and another program has opened the rest: the next start does not begin anew",
  async () => {
    const scene = await Scene.open();
    await scene.post20("before");
    rmSync(`${scene.path}-wal`);
    rmSync(`${scene.path}-shm`);
    const script = `const db = new (require("bun:sqlite").Database)(process.argv[1]); db.query("SELECT count(*) FROM sqlite_schema").get(); db.close(true);`;
    expect(Bun.spawnSync([process.execPath, "-e", script, scene.path]).exitCode).toBe(0);
    expect(await ended(scene.server)).toBe(1);
    const [kept = ""] = scene.rescued;
    const refused = await refusedProcess({ dataDir: scene.dataDir });
    expect([refused.code, refused.stderr]).toEqual([
      1,
      `roost: The database ${scene.path} is empty, but what it held was kept as ${join(scene.dataDir, kept)}. Rename that to happy.db to go on with it, or move it away to begin anew.\n`,
    ]);
    expect(inspect(join(scene.dataDir, kept)).sessions[0]?.messages).toBe(scene.acknowledged.length);
  },
  BOUND_MS,
);

test(
  "the same for the database of topics",
  async () => {
    const dataDir = freshFolder();
    const server = await started(dataDir, { ROOST_TOPICS_ENABLED: "true" });
    rmSync(join(dataDir, "topics.db-wal"));
    expect(await ended(server)).toBe(1);
    expect(server.logged(60).map(({ msg }) => msg)[0]).toStartWith("The file topics.db-wal was replaced");
  },
  BOUND_MS,
);
