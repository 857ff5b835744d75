// The disk is full, with HAPI on. Writes are refused in the shapes of its contract, over HTTP and on sockets; reads, streams and sockets go
// on; nothing is half-stored or announced; and once there is space again everything works without a restart.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { EventStream } from "../hapi/event-stream.ts";
import type { ScriptedClient } from "../hapi/scripted-client.ts";
import { until } from "../support/until.ts";
import {
  agentSays,
  asked,
  errorsOf,
  HAPI_ENV,
  HapiUser,
  inspectHapi,
  keepAlive,
  messagesIn,
  PLACE,
  RUNNER,
} from "./hapi-process.ts";
import { type ServerProcess, startProcess } from "./server-process.ts";
import { smallDisk } from "./small-disk.ts";

const DISK_BYTES = 32 * 1024 * 1024;
/** More than the log has room for after the first round, within the bounds of every value, and nothing that could be made smaller. */
const text = () => randomBytes(4.5 * 1024 * 1024).toString("base64");
const SENTENCE = /^The disk (is full|refused to write): nothing was stored\./;

const { path: disk, small, fill, free, unmount } = smallDisk(DISK_BYTES);
const dataDir = join(disk, "data");

small.describe("on a full disk the hub", () => {
  let server: ServerProcess;
  let user: HapiUser;
  let sid: string;
  let agent: ScriptedClient;
  let stream: EventStream;

  beforeAll(async () => {
    server = await startProcess({ dataDir, env: { ...HAPI_ENV, ROOST_LOG_LEVEL: "warn" } });
    user = await HapiUser.of(server, dataDir);
    sid = await user.session("t");
    await user.machine("m");
    agent = await user.agent(sid);
    ({ stream } = await user.events());
  }, 30_000);

  afterAll(async () => {
    agent?.close();
    stream?.close();
    await server?.end("SIGKILL");
    unmount();
  });

  const stored = async () => (await user.after(sid, 0)).map(({ localId }) => localId);
  const announced = () => messagesIn(stream, sid).map(({ localId }) => localId);
  const upload = () => {
    const wish = { filename: "f.txt", mimeType: "text/plain", content: text() };
    return user.ask("POST", `/api/sessions/${sid}/scratchlist/upload`, wish);
  };
  const files = () =>
    readdirSync(join(dataDir, "hapi"), { recursive: true }).filter((name) => `${name}`.endsWith("f.txt"));

  for (const round of [1, 2]) {
    test(`round ${round}: refuses writes whole, in its own shapes, and goes on when there is space`, async () => {
      const name = (what: string) => `${what}-${round}`;
      expect(await user.send(sid, "hello", name("web"))).toEqual({ status: 200, body: { ok: true } });
      await asked(agent, "message", { sid, message: agentSays("hello"), localId: name("cli") });
      const before = await stored();
      await until("what was stored to be announced", () => announced().length === before.length);
      fill();

      const full = { status: 503, body: { error: expect.stringMatching(SENTENCE) } };
      const over = {
        message: user.send(sid, text(), name("refused-web")),
        session: user.ask("POST", "/cli/sessions", { tag: name("s"), metadata: { ...PLACE, a: text() } }),
        machine: user.ask("POST", "/cli/machines", {
          id: name("m"),
          metadata: { ...RUNNER, a: text() },
        }),
        file: upload(),
      };
      expect(await over.session).toEqual(full);
      expect(await over.message).toEqual(full);
      expect(await over.machine).toEqual(full);
      expect(await over.file).toEqual(full);
      expect(files()).toHaveLength(round - 1);

      const failed = errorsOf(agent).length;
      expect(
        await asked(agent, "message", { sid, message: agentSays(text()), localId: name("cut") }),
      ).toEqual([]);
      const said = (text: string) => ({ role: "user", content: { type: "text", text } });
      const late = { sid, message: said(text()), localId: name("refused-cli") };
      expect(await asked(agent, "message", late)).toEqual([]);
      const refusal = {
        code: "not-stored",
        scope: "session",
        id: sid,
        message: expect.stringMatching(SENTENCE),
      };
      expect(errorsOf(agent).slice(failed)).toContainEqual(refusal);
      const state = { sid, expectedVersion: round, agentState: { text: text() } };
      expect(await asked(agent, "update-state", state)).toEqual([{ result: "error" }]);
      keepAlive(agent, sid);

      // Everything that only reads.
      for (const path of ["/api/sessions", "/api/machines", `/api/sessions/${sid}`, "/health"])
        expect([path, (await user.ask("GET", path)).status]).toEqual([path, 200]);
      const newcomer = await HapiUser.of(server, dataDir);
      const { stream: another } = await newcomer.events();
      another.close();
      const socket = await newcomer.cli({ sessionId: sid });
      await socket.flush();
      socket.close();
      expect((await fetch(`${server.url}/ready`)).status).toBe(503);
      const kept = await stored();
      expect(kept.slice(0, before.length)).toEqual(before);
      expect(kept).not.toContain(name("refused-web"));
      expect(kept).not.toContain(name("refused-cli"));
      expect(announced()).toEqual(kept);

      free();
      expect((await fetch(`${server.url}/ready`)).status).toBe(200);
      expect((await user.send(sid, "again", name("refused-web"))).status).toBe(200);
      await asked(agent, "message", { ...late, message: said("again") });
      const again = { ...state, agentState: { text: "again" } };
      expect(await asked(agent, "update-state", again)).toMatchObject([{ result: "success" }]);
      expect((await upload()).status).toBe(200);
      expect(files()).toHaveLength(round);
      const after = [...kept, name("refused-web"), name("refused-cli")];
      expect(await stored()).toEqual(after);
      await until("what was stored to be announced", () => announced().length >= after.length);
      expect(announced()).toEqual(after);
      expect(agent.socket.connected).toBe(true);
    }, 60_000);
  }

  test("stops cleanly afterwards, with a sound database and no unexpected error in the log", async () => {
    expect(await server.end("SIGTERM")).toBe(0);
    const { sessions, ...rest } = inspectHapi(dataDir);
    expect(rest).toEqual({ integrity: ["ok"], brokenReferences: 0, doubledLocalIds: 0 });
    expect(sessions.map(({ messages, highest }) => messages === highest)).toEqual([true]);
    expect(server.output.stderr).toBe("");
    const unexpected = ["a request ended in an unexpected error", "a socket event failed"];
    expect(server.logged(50).filter(({ msg }) => unexpected.includes(msg))).toEqual([]);
  }, 30_000);
});
