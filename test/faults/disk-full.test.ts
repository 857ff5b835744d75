// The disk is full. Reads go on, writes are refused in words a person understands, nothing is half-stored, sockets stay, and once
// there is space again everything works without a restart. Needs a small file system of its own, so the right to mount one.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { inspect, inspectCopy } from "./database-file.ts";
import { refusedProcess, type ServerProcess, startProcess } from "./server-process.ts";
import { smallDisk } from "./small-disk.ts";

const DISK_BYTES = 24 * 1024 * 1024;
const MESSAGE = "x".repeat(64 * 1024);

const { path: disk, small, fill, free, unmount } = smallDisk(DISK_BYTES);

small.describe("on a full disk", () => {
  let server: ServerProcess;
  let account: Account;
  let phone: Listener;
  let sid: string;

  beforeAll(async () => {
    server = await startProcess({ dataDir: join(disk, "data"), env: { ROOST_LOG_LEVEL: "warn" } });
    account = await newAccount(server.url);
    const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
    sid = opened.body.session.id;
    phone = await account.connect();
  }, 30_000);

  afterAll(async () => {
    phone?.close();
    await server?.end("SIGKILL");
    unmount();
  });

  const post = (count: number, name: string) =>
    account.call("POST", `/v3/sessions/${sid}/messages`, {
      messages: Array.from({ length: count }, (_, index) => ({
        content: MESSAGE,
        localId: `${name}-${index}`,
      })),
    });
  const stored = async () => {
    const page = await account.call("GET", `/v3/sessions/${sid}/messages?limit=500`);
    expect(page.status).toBe(200);
    return page.body.messages.map(({ localId }: { localId: string }) => localId) as string[];
  };
  const announced = async () => {
    await phone.settled();
    return phone.updates.flatMap(({ body }) => (body.t === "new-message" ? [body.message.localId] : []));
  };

  for (const round of [1, 2]) {
    test(`round ${round}: writes are refused whole, reads and sockets go on, and space brings everything back`, async () => {
      expect((await post(3, `before-${round}`)).status).toBe(200);
      const before = await stored();
      fill();

      // Small ones fail at the commit, and in one turn together; one above SQLite's page cache fails in the middle of its work.
      const refused = await Promise.all([post(5, `refused-${round}-0`), post(5, `refused-${round}-1`)]);
      for (const size of [20, 90]) refused.push(await post(size, `refused-${round}-${size}`));
      for (const { status, body } of refused) {
        expect(status).toBe(503);
        expect(body).toEqual({
          error: "Service Unavailable",
          message: expect.stringMatching(/^The disk (is full|refused to write): nothing was stored\./),
          statusCode: 503,
        });
      }

      const ready = await fetch(`${server.url}/ready`);
      expect([ready.status, await ready.json()]).toMatchObject([
        503,
        {
          problems: {
            happy: expect.stringMatching(/^The disk (is full|refused to write): nothing was stored\./),
          },
        },
      ]);
      expect(await stored()).toEqual(before);
      expect(await announced()).toEqual(before);
      for (const path of ["/v1/sessions", "/v2/sessions", "/v1/machines", "/health"])
        expect((await account.call("GET", path)).status).toBe(200);
      const newcomer = await account.connect();
      await newcomer.settled();
      newcomer.close();
      expect(inspectCopy(join(disk, "data")).integrity).toEqual(["ok"]);

      free();
      expect((await fetch(`${server.url}/ready`)).status).toBe(200);
      expect((await post(2, `refused-${round}-0`)).status).toBe(200);
      const after = [...before, `refused-${round}-0-0`, `refused-${round}-0-1`];
      expect(await stored()).toEqual(after);
      expect(await announced()).toEqual(after);
      expect(phone.socket.connected).toBe(true);
    }, 60_000);
  }

  test("a message over a socket that could not be stored ends its connection, so that the client notices", async () => {
    const sender = await account.connect({ clientType: "session-scoped", sessionId: sid });
    const before = await stored();
    fill();
    const gone = new Promise<string>((resolve) => sender.socket.once("disconnect", resolve));
    for (let count = 0; count < 60; count++)
      sender.socket.emit("message", { sid, message: MESSAGE, localId: `socket-${count}` });
    const answered = sender.socket
      .timeout(5_000)
      .emitWithAck("ping")
      .then(
        () => "answered",
        () => "not answered",
      );
    expect(await gone).toBe("transport close");
    expect(await answered).toBe("not answered");
    free();
    // Each is there whole or not at all, in order and without holes.
    const kept = (await stored()).slice(before.length);
    expect(kept).toEqual(kept.map((_, index) => `socket-${index}`));
    expect(await announced()).toEqual([...before, ...kept]);
    expect(phone.socket.connected).toBe(true);
  }, 60_000);

  test("it stops cleanly afterwards, with a sound database and no unexpected error in the log", async () => {
    expect(await server.end("SIGTERM")).toBe(0);
    const { integrity, sessions } = inspect(join(disk, "data", "happy.db"));
    expect(integrity).toEqual(["ok"]);
    expect(sessions.map(({ seq, highest, messages }) => [highest, messages, seq === messages])).toEqual([
      [sessions[0]?.seq ?? 0, sessions[0]?.seq ?? 0, true],
    ]);
    expect(server.output.stderr).toBe("");
    expect(server.logged(50).map(({ msg }) => msg)).not.toContain("a request ended in an unexpected error");
  }, 30_000);

  test("a start on a full disk is refused in one sentence, and works once there is space", async () => {
    fill();
    const dataDir = join(disk, "data");
    const refused = await refusedProcess({ dataDir });
    expect(refused).toEqual({
      code: 1,
      stdout: "",
      stderr: `roost: The disk of the data folder ${dataDir} is full. Free some space, or choose another one with --data-dir.\n`,
    });
    free();
    const again = await startProcess({ dataDir });
    expect(await again.end("SIGTERM")).toBe(0);
  }, 30_000);
});
