// A thousand CLIs lose their connection and come back at once, as they do after a restart: each says that it lives and registers its
// functions. Meanwhile the web side's list is answered; afterwards each CLI hears what is sent to it exactly once and answers calls, and
// the server has not grown.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { io, type Socket } from "socket.io-client";
import { rounds } from "../support/full.ts";
import { untilTheRunEnds } from "../support/process.ts";
import { until } from "../support/until.ts";
import { HAPI_ENV, HapiUser, messagesIn } from "./hapi-process.ts";
import { memoryOf, type ServerProcess, startProcess } from "./server-process.ts";

const SOCKETS = 1_000;
/** Of those, so many are asked and sent to. */
const SAMPLE = 50;
const FUNCTIONS = ["abort", "git-status", "killSession", "permission", "set-session-config"];
const ROUNDS = (["stop", "kill", "cable", "cable", "cable"] as const).slice(0, rounds(3, 5));
const GROWTH_BYTES = 150 * 1024 * 1024;
/** Of a list of 500 while a thousand come back. */
const LIST_BOUND_MS = 5_000;
const BOUND_MS = 180_000;

interface Cli {
  readonly sid: string;
  readonly socket: Socket;
  /** Texts that it was sent. */
  readonly heard: string[];
}

const dataDir = mkdtempSync(join(tmpdir(), "roost-hapi-storm-"));
const clis: Cli[] = [];
let server: ServerProcess;
let user: HapiUser;

const start = (port = 0) =>
  startProcess({
    dataDir,
    port,
    env: { ...HAPI_ENV, ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false" },
  });

beforeAll(async () => {
  server = await start();
  user = await HapiUser.of(server, dataDir);
}, 30_000);
afterAll(async () => {
  for (const { socket } of clis) socket.close();
  await server?.end("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

/** As the released CLI, but in more of a hurry to come back. */
async function connect(sid: string): Promise<Cli> {
  const heard: string[] = [];
  const socket = io(`${user.url}/cli`, {
    auth: { token: user.token, clientType: "session-scoped", sessionId: sid },
    transports: ["websocket"],
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 500,
    timeout: 60_000,
  });
  socket.on("update", ({ body }) => {
    if (body.t === "new-message") heard.push(body.message.content.content.text);
  });
  socket.on("rpc-request", ({ method }, acknowledge) =>
    acknowledge(JSON.stringify({ success: true, stdout: method })),
  );
  await new Promise<void>((resolve) => {
    socket.on("connect", () => {
      for (const name of FUNCTIONS) socket.emit("rpc-register", { method: `${sid}:${name}` });
      socket.emit("session-alive", { sid, time: Date.now(), thinking: false });
      resolve();
    });
  });
  return { sid, socket, heard };
}

/** Resolves when each has lost its connection, has been accepted again, and was heard. */
const everybodyBack = () =>
  Promise.all(
    clis.map(async ({ socket }) => {
      await new Promise<void>((resolve) => {
        socket.once("disconnect", () => socket.once("connect", () => resolve()));
      });
      await socket.emitWithAck("ping");
    }),
  );

/** A web client that asks for the list all the while; `taken` is what it was answered since the last look. */
function prober(): { taken(): number[][]; stop(): void } {
  const child = untilTheRunEnds(
    Bun.spawn([process.execPath, join(import.meta.dir, "hapi-list-prober.ts"), user.url, user.jwt], {
      stdout: "pipe",
      stderr: "inherit",
    }),
  );
  let text = "";
  void (async () => {
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) text += piece;
  })();
  return {
    taken: () => {
      const end = text.lastIndexOf("\n") + 1;
      const lines = text.slice(0, end).split("\n").filter(Boolean);
      text = text.slice(end);
      return lines.map((line) => JSON.parse(line));
    },
    stop: () => child.kill("SIGKILL"),
  };
}

async function expectServed(round: string): Promise<void> {
  const { stream } = await user.events();
  const sample = clis.filter((_, index) => index % (SOCKETS / SAMPLE) === 0);
  await until("all sessions of the sample to be at work", async () => {
    const { body } = await user.ask("GET", "/api/sessions?limit=500");
    return body.sessions.filter(({ active }: { active: boolean }) => active).length === 500;
  });
  for (const cli of clis) cli.heard.length = 0;
  for (const { sid } of sample) {
    expect((await user.send(sid, round, `${round} ${sid}`)).status).toBe(200);
    const { body } = await user.ask("GET", `/api/sessions/${sid}/git-status`);
    expect(body).toMatchObject({ success: true, stdout: `${sid}:git-status` });
  }
  await Promise.all(clis.map(({ socket }) => socket.emitWithAck("ping")));
  for (const cli of clis) expect(cli.heard).toEqual(sample.includes(cli) ? [round] : []);
  await until("the stream to tell of all of them", () =>
    sample.every(({ sid }) => messagesIn(stream, sid).length > 0),
  );
  for (const { sid } of sample) expect(messagesIn(stream, sid)).toHaveLength(1);
  stream.close();
}

test(
  `${SOCKETS} CLIs come back ${ROUNDS.length} times, the list is answered, and each hears its own once`,
  async () => {
    for (let index = 0; index < SOCKETS; index += SAMPLE)
      clis.push(
        ...(await Promise.all(Array.from({ length: SAMPLE }, async () => connect(await user.session())))),
      );
    await expectServed("before");
    const list = prober();
    let calm = memoryOf(server.pid);
    for (const [index, round] of ROUNDS.entries()) {
      const begun = performance.now();
      const back = everybodyBack();
      if (round === "cable") for (const { socket } of clis) socket.io.engine.close();
      else {
        expect(await server.end(round === "stop" ? "SIGTERM" : "SIGKILL")).toBe(round === "stop" ? 0 : 137);
        expect(server.output.stderr).toBe("");
        list.taken();
        server = await start(server.port);
        calm = undefined;
      }
      await back;
      const tookMs = Math.round(performance.now() - begun);
      const answers = list.taken();
      const slowest = Math.max(...answers.map(([, , ms = 0]) => ms));
      console.error(
        `hapi-reconnect-storm: ${round}, all back after ${tookMs} ms; ${answers.length} lists meanwhile, the slowest ${slowest} ms`,
      );
      expect(answers.length).toBeGreaterThan(0);
      for (const [status, sessions] of answers) expect([status, sessions]).toEqual([200, 500]);
      // It waits for some of those who come, not for all of them, however busy the machine is.
      expect(slowest).toBeLessThan(Math.max(LIST_BOUND_MS, tookMs / 2));
      calm ??= memoryOf(server.pid);
      await expectServed(`${round}-${index}`);
    }
    list.stop();
    const now = memoryOf(server.pid);
    if (calm !== undefined && now !== undefined)
      expect(now.resident - calm.resident).toBeLessThan(GROWTH_BYTES);
    expect(server.logged(40)).toEqual([]);
    expect(server.output.stderr).toBe("");
  },
  BOUND_MS,
);
