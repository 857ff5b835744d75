// One day of a person with a browser and a computer that runs the released hapi CLI, against a hub that is handed in. The scenes build on
// each other in order; which hub it is they do not know.
import { afterAll, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { at, type Json } from "../hapi/placeholders.ts";
import { until } from "../support/until.ts";
import type { HapiComputer } from "./hapi-cli.ts";
import { HAPI_VERSION } from "./hapi-release.ts";
import type { MakeServer } from "./hapi-server.ts";
import { HapiWeb } from "./hapi-web.ts";
import { HapiWorld } from "./hapi-world.ts";
import { type Launched, whileRunning } from "./processes.ts";
import { boundMs, storyIn } from "./scene.ts";

/** A machine that nobody hears of any more is offline after 45 s, looked at every 5 s. */
const OFFLINE_MS = 60_000;
/** What the CLI waits before it comes back after its hub was away, and some more for a busy machine. */
const BACK_MS = 30_000;

/** Call it in a `describe`. */
export function hapiDay(makeServer: MakeServer): void {
  const day = storyIn(() => HapiWorld.open(makeServer));
  const { scene } = day;
  let web: HapiWeb;
  let desk: HapiComputer;
  let runner: Launched;
  /** Of the tiny agent that asks for permission. */
  let talk: string;

  afterAll(() => web?.leave());

  const spawn = (agent: string): Promise<string> => web.spawn(desk, agent);
  const talkTo = (session: string, text: string): Promise<void> => web.talk(session, text);

  scene("a wrong token is refused, the right one logs in and hears the stream", async () => {
    const { url, token } = day.world.server;
    await expect(HapiWeb.logIn(url, `${token}x`)).rejects.toThrow("401");
    web = await HapiWeb.logIn(url, token);
    expect(await web.listen()).toBe("gap");
    expect(await web.ask("GET", "/api/machines")).toEqual({ machines: [] });
    expect(await web.ask("GET", "/api/sessions")).toEqual({ sessions: [] });
  });

  scene("the runner registers its machine and is online", async () => {
    desk = day.world.addComputer("desk");
    runner = desk.run("runner", "start-sync");
    const online = web.event("machine-updated", boundMs, { type: "machine-updated", from: 0 }, (event) =>
      at(event.data, "active") === true && at(event.data, "runnerState.status") === "running"
        ? event
        : undefined,
    );
    const event = await whileRunning(runner, online);
    expect(event.machineId).toBe(desk.machineId);
    // It comes with a heartbeat, which may be after the one that said that it is there.
    const row = await until(
      "the machine's health",
      async () => {
        const machine = await web.machine(desk.machineId);
        return machine?.health === null ? undefined : machine;
      },
      boundMs,
    );
    expect(row).toMatchObject({
      active: true,
      metadata: {
        host: "desk",
        happyCliVersion: HAPI_VERSION,
        capabilities: expect.arrayContaining([
          "agent-availability",
          "cursor-chat-store-status",
          "stop-runner",
        ]),
      },
      runnerState: { status: "running", pid: runner.child.pid },
      health: { cpuCount: expect.any(Number) },
    });
  });

  scene("the web form learns which agents and folders the machine has", async () => {
    const machine = `/api/machines/${desk.machineId}`;
    const { agents } = (await web.ask("GET", `${machine}/agent-availability`)) as { agents: Json };
    expect(agents).toContainEqual({ agent: "dsh", available: true });
    expect(agents).toContainEqual({ agent: "codex", available: false, reason: "not_found" });
    const paths = [desk.project, join(desk.project, "nowhere")];
    expect(await web.ask("POST", `${machine}/paths/exists`, { paths })).toEqual({
      exists: { [desk.project]: true, [join(desk.project, "nowhere")]: false },
    });
    writeFileSync(join(desk.project, "hello.txt"), "from the desk");
    expect(await web.ask("POST", `${machine}/list-directory`, { path: desk.project })).toMatchObject({
      success: true,
      entries: [{ name: "hello.txt", type: "file", size: 13 }],
    });
  });

  scene("a session that the web side spawns is there and active", async () => {
    talk = await spawn("dsh");
    expect(await web.session(talk)).toMatchObject({
      active: true,
      thinking: false,
      metadata: { path: desk.project, machineId: desk.machineId, flavor: "dsh", startedBy: "runner" },
    });
  });

  scene("a message goes web, hub, CLI, agent and back over the stream", async () => {
    const from = web.events.mark;
    const localId = await web.say(talk, "hello");
    const about = { about: talk, from };
    const received = await web.event(
      "the message",
      boundMs,
      { type: "message-received", ...about },
      (event) => (at(event.message, "localId") === localId ? event.message : undefined),
    );
    expect(received).toMatchObject({ invokedAt: null, content: { role: "user" } });
    await web.event("its consumption", boundMs, { type: "messages-consumed", ...about }, ({ localIds }) =>
      JSON.stringify(localIds) === JSON.stringify([localId]) ? true : undefined,
    );
    await web.hear(talk, "heard: hello", boundMs, from);
    const queued = await web.ask("POST", `/api/sessions/${talk}/messages/queued-state`, {
      localIds: [localId],
    });
    expect(queued).toMatchObject({ queuedLocalIds: [], invokedLocalMessages: [{ localId }] });
    const lines = await web.history(talk);
    expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(lines.map(({ text }) => text)).toEqual(["hello", "heard: hello", "ready"]);
  });

  scene("the agent asks for permission, the person grants it, the agent goes on", async () => {
    const from = web.events.mark;
    await web.say(talk, "ask ls");
    const { id, tool } = await web.permissionAsked(talk, boundMs, from);
    expect(tool).toBe("ls");
    expect(await web.summary(talk)).toMatchObject({
      pendingRequestsCount: 1,
      pendingRequestKinds: ["permission"],
      pendingRequests: [{ id, kind: "permission", tool: "ls" }],
    });
    const toast = await web.event("a toast", boundMs, { type: "toast", from }, ({ data }) =>
      at(data, "title") === "Permission Request" ? data : undefined,
    );
    expect(toast).toMatchObject({ body: "project (ls)", sessionId: talk, url: `/sessions/${talk}` });
    await web.ask("POST", `/api/sessions/${talk}/permissions/${id}/approve`, { decision: "approved" });
    await web.hear(talk, "permission: proceed_once", boundMs, from);
    expect(at(await web.session(talk), "agentState")).toMatchObject({
      requests: {},
      completedRequests: { [id]: { status: "approved" } },
    });
  });

  scene("a denied permission reaches the agent as such", async () => {
    const from = web.events.mark;
    await web.say(talk, "ask rm");
    const { id } = await web.permissionAsked(talk, boundMs, from);
    await web.ask("POST", `/api/sessions/${talk}/permissions/${id}/deny`, {});
    await web.hear(talk, "permission: cancel", boundMs, from);
    expect(at(await web.session(talk), `agentState.completedRequests.${id}.status`)).toBe("denied");
    expect(await web.summary(talk)).toMatchObject({ pendingRequestsCount: 0 });
  });

  scene("a terminal prints what its shell prints, in the session's folder", async () => {
    const terminal = await web.terminal(talk);
    terminal.write("echo $((6 * 7))-$(cat hello.txt)\n");
    await terminal.prints("42-from the desk");
    terminal.resize(101, 31);
    terminal.write("stty size\n");
    await terminal.prints("31 101");
    // The CLI keeps its secrets from the shell.
    terminal.write('echo "token=[$CLI_API_TOKEN]"\n');
    await terminal.prints("token=[]");
    terminal.write("exit 3\n");
    expect(await terminal.first("terminal:error")).toMatchObject({ terminalId: terminal.id });
    terminal.socket.close();
  });

  scene("files of the session's folder are listed, found and read", async () => {
    const session = `/api/sessions/${talk}`;
    expect(await web.ask("GET", `${session}/directory?path=`)).toMatchObject({
      success: true,
      entries: [{ name: "hello.txt", type: "file", size: 13 }],
    });
    expect(await web.ask("GET", `${session}/file?path=hello.txt`)).toMatchObject({
      success: true,
      content: btoa("from the desk"),
    });
    expect(await web.ask("GET", `${session}/git-status`)).toMatchObject({ success: false, exitCode: 128 });
    // The largest request that the contract allows is near 68 MiB; the CLI takes 50 MiB decoded.
    const content = Buffer.alloc(8 * 1024 * 1024, "roost").toString("base64");
    const upload = { filename: "big.bin", content, mimeType: "application/octet-stream" };
    const uploaded = await web.ask("POST", `${session}/upload`, upload);
    expect(at(uploaded, "success")).toBe(true);
    const path = `${at(uploaded, "path")}`;
    expect(await web.ask("POST", `${session}/upload/delete`, { path })).toEqual({ success: true });
  });

  for (const [signal, how] of [
    ["SIGTERM", "a restart of the hub"],
    ["SIGKILL", "a kill of the hub"],
  ] as const)
    scene(
      `after ${how} runner, session, messages and terminal are back, and nothing is there twice`,
      async () => {
        const before = await web.history(talk);
        await day.world.server.stop(signal);
        await web.deaf();
        await day.world.server.start();
        // A cursor of the process before: the hub says that there may be a gap.
        expect(["gap", "ok"]).toContain(await web.listen());
        const from = web.events.mark;
        const text = `still there after ${signal}?`;
        const localId = crypto.randomUUID();
        await until(
          "the session to take a message",
          async () => {
            const body = { text, localId };
            const { status } = await web.call("POST", `/api/sessions/${talk}/messages`, body);
            return status === 200;
          },
          BACK_MS,
        );
        await web.hear(talk, `heard: ${text}`, boundMs, from);
        const after = await web.history(talk);
        expect(after.slice(0, before.length)).toEqual(before);
        expect(after.slice(before.length).map((line) => line.text)).toEqual([
          text,
          `heard: ${text}`,
          "ready",
        ]);
        expect(after.map(({ seq }) => seq)).toEqual(after.map((_, index) => index + 1));
        await until(
          "the runner to answer calls",
          async () => {
            const path = `/api/machines/${desk.machineId}/agent-availability`;
            return (await web.call("GET", path)).status === 200;
          },
          BACK_MS,
        );
        const terminal = await web.terminal(talk);
        terminal.write("echo back-$((40 + 2))\n");
        await terminal.prints("back-42");
        terminal.close();
        terminal.socket.close();
        expect(runner.child.exitCode).toBe(null);
      },
    );

  scene("what is archived ends, and says so to everybody", async () => {
    const from = web.events.mark;
    const pid = Number(at(await web.session(talk), "metadata.hostPid"));
    await web.ask("POST", `/api/sessions/${talk}/archive`, {});
    const about = { about: talk, from };
    await web.event("session-ended", boundMs, { type: "session-ended", ...about }, () => true);
    await web.event("active: false", boundMs, { type: "session-updated", ...about }, ({ data }) =>
      at(data, "active") === false ? true : undefined,
    );
    await until("the archived state", async () => {
      const session = await web.session(talk);
      return session.active === false && at(session, "metadata.lifecycleState") === "archived";
    });
    await until("the session's process to end", () => !isRunning(pid), boundMs);
    expect(await web.ask("POST", `/api/sessions/${talk}/archive`, {})).toEqual({
      ok: true,
      alreadyArchived: true,
    });
    const refused = await web.call("POST", `/api/sessions/${talk}/messages`, {
      text: "anybody?",
      localId: "late",
    });
    expect(refused).toMatchObject({ status: 409, body: { code: "session_inactive" } });
  });

  scene("an archived session is reopened under a new id with all that was said, and goes on", async () => {
    const first = await spawn("claude");
    await talkTo(first, "hello");
    await until("the agent's own session id", async () =>
      at(await web.session(first), "metadata.claudeSessionId"),
    );
    const said = await web.history(first);
    await web.ask("POST", `/api/sessions/${first}/archive`, {});
    await until("an inactive session", async () => (await web.session(first)).active === false);
    const from = web.events.mark;
    const answer = await web.ask("POST", `/api/sessions/${first}/reopen`, {});
    expect(answer).toMatchObject({ ok: true, resumed: true });
    const second = `${at(answer, "sessionId")}`;
    await web.event("session-removed", boundMs, { type: "session-removed", about: first, from }, () => true);
    expect((await web.call("GET", `/api/sessions/${first}`)).status).toBe(404);
    expect((await web.history(second)).slice(0, said.length).map(({ text }) => text)).toEqual(
      said.map(({ text }) => text),
    );
    await talkTo(second, "again");
    const lines = await web.history(second);
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
    await web.ask("POST", `/api/sessions/${second}/archive`, {});
    await until("an inactive session", async () => (await web.session(second)).active === false);
    const third = `${at(await web.ask("POST", `/api/sessions/${second}/resume`, {}), "sessionId")}`;
    await talkTo(third, "once more");
  });

  scene("a runner that stops says so, and its machine goes offline", async () => {
    const from = web.events.mark;
    runner.child.kill("SIGTERM");
    await runner.child.exited;
    await web.event(
      "shutting-down",
      boundMs,
      { type: "machine-updated", about: desk.machineId, from },
      ({ data }) => (at(data, "runnerState.status") === "shutting-down" ? true : undefined),
    );
    await web.event(
      "active: false",
      OFFLINE_MS,
      { type: "machine-updated", about: desk.machineId, from },
      ({ data }) => (at(data, "active") === false ? true : undefined),
    );
    expect(await web.machine(desk.machineId)).toBe(undefined);
  });
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
