// Whatever clients of HAPI's send, with a login or without, the process lives and others never notice: events of both namespaces, every
// route, and answers of CLIs to the hub's own calls. Nothing of it is an unexpected error, and no secret gets into the log.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EventStream } from "../hapi/event-stream.ts";
import type { Json } from "../hapi/placeholders.ts";
import { RawSocket } from "../hapi/raw-socket.ts";
import type { ScriptedClient } from "../hapi/scripted-client.ts";
import { rounds } from "../support/full.ts";
import { until } from "../support/until.ts";
import { agentSays, asked, errorsOf, HAPI_ENV, HapiUser, keepAlive, messagesIn } from "./hapi-process.ts";
import { oddFrames, oddJson } from "./malformed-frames.ts";
import { everyRoute, type KnownHapi, nearlyRight, oddBody, oddHapiEvent, pathOf } from "./malformed-hapi.ts";
import { seeded } from "./random.ts";
import { frame, RawConnection } from "./raw-connection.ts";
import { type ServerProcess, startProcess } from "./server-process.ts";

const CASES = {
  connections: rounds(1_500, 10_000),
  events: rounds(4_000, 20_000),
  ofEachRoute: rounds(12, 100),
};
const AT_ONCE = 16;
const PATH = "/socket.io/?EIO=4&transport=websocket";
const CLOSE_BOUND_MS = 10_000;
const ROUND_TRIP_BOUND_MS = 5_000;

const random = seeded("hapi-malformed");
const dataDir = mkdtempSync(join(tmpdir(), "roost-hapi-malformed-"));
let server: ServerProcess;
let attacker: HapiUser;
let known: KnownHapi;
let bystander: Bystander;

beforeAll(async () => {
  server = await startProcess({
    dataDir,
    env: { ...HAPI_ENV, ROOST_LOG_LEVEL: "debug", ROOST_RATE_LIMITS: "false" },
  });
  attacker = await HapiUser.of(server, dataDir);
  const session = await attacker.session();
  const machine = await attacker.machine("attacked");
  known = { token: attacker.token, jwt: attacker.jwt, session, machine };
  bystander = await Bystander.begin(await HapiUser.of(server, dataDir, "other"));
}, 30_000);

afterAll(async () => {
  bystander?.close();
  await server?.end("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

/** Somebody of another namespace, whose web client and CLI write to each other and measure all the while. */
class Bystander {
  readonly #trouble: string[] = [];
  readonly #sent: string[] = [];
  #slowest = 0;
  #isEnding = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(
    private readonly user: HapiUser,
    private readonly sid: string,
    private readonly agent: ScriptedClient,
    private readonly stream: EventStream,
  ) {}

  static async begin(user: HapiUser): Promise<Bystander> {
    const sid = await user.session();
    const bystander = new Bystander(user, sid, await user.agent(sid), (await user.events()).stream);
    bystander.agent.socket.once("disconnect", (reason) => bystander.#trouble.push(reason));
    void bystander.stream.ended.then(() => bystander.#trouble.push("the stream ended"));
    bystander.#loop = bystander.#talk().catch((error) => void bystander.#trouble.push(String(error)));
    return bystander;
  }

  async #talk(): Promise<void> {
    while (!this.#isEnding) {
      const begun = performance.now();
      const [web, cli] = [`w${this.#sent.length}`, `c${this.#sent.length}`];
      this.#sent.push(web);
      const { status } = await this.user.send(this.sid, "x", web);
      if (status !== 200) this.#trouble.push(`a message was answered with ${status}`);
      this.#sent.push(cli);
      await asked(this.agent, "message", { sid: this.sid, message: agentSays("x"), localId: cli });
      keepAlive(this.agent, this.sid);
      this.#slowest = Math.max(this.#slowest, performance.now() - begun);
      await Bun.sleep(20);
    }
  }

  /** What it has noticed so far: nothing, and what it was told: its own, in order. */
  async expectUndisturbed(): Promise<void> {
    expect(this.#trouble).toEqual([]);
    expect(errorsOf(this.agent)).toEqual([]);
    const sent = this.#sent.slice(0, -2);
    await until("everything to be heard", () => messagesIn(this.stream, this.sid).length >= sent.length);
    const heard = messagesIn(this.stream, this.sid).map(({ localId }) => localId);
    expect(heard.slice(0, sent.length)).toEqual(sent);
    expect(this.#slowest).toBeLessThan(ROUND_TRIP_BOUND_MS);
  }

  async end(): Promise<string> {
    this.#isEnding = true;
    await this.#loop;
    await this.expectUndisturbed();
    return `${this.#sent.length} messages, the slowest pair ${Math.round(this.#slowest)} ms`;
  }

  close(): void {
    this.#isEnding = true;
    this.agent.close();
    this.stream.close();
  }
}

/** Runs every case, some at once. @throws the first failure with the case's number, after which no more are begun. */
async function many(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < count && !failed) {
        const index = next++;
        try {
          await run(index);
        } catch (error) {
          failed = true;
          throw new Error(`case ${index}`, { cause: error });
        }
      }
    }),
  );
}

async function expectAlive(): Promise<void> {
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  expect(server.output.stderr).toBe("");
  // Bad input is nobody's unexpected error.
  expect(server.logged(50)).toEqual([]);
  // What a person is greeted with is no log.
  const log = server.output.stdout.split("\n").filter((line) => line.startsWith("{"));
  const [base = ""] = known.token.split(":");
  for (const secret of [base, known.jwt]) expect(log.filter((line) => line.includes(secret))).toEqual([]);
  await bystander.expectUndisturbed();
}

test(`${CASES.connections} connections with broken frames and packets, let in or not`, async () => {
  await many(CASES.connections, async () => {
    const connection = await RawConnection.webSocket(server.port, PATH);
    const namespace = random.pick(["/cli", "/terminal"] as const);
    const token = namespace === "/cli" ? known.token : known.jwt;
    if (random.chance(0.5)) {
      connection.write(frame(`40${namespace},{"token":"${token}","sessionId":"${known.session}"}`));
      await connection.until((received) => received.includes(`40${namespace},{"sid"`), ROUND_TRIP_BOUND_MS);
    }
    for (const bytes of oddFrames(random, [token, known.session])) connection.write(bytes);
    const auth = `{"token":${oddJson(random, [token])},"sessionId":${oddJson(random, [known.session])}}`;
    connection.write(frame(`40${namespace},${auth}`));
    connection.write(frame(`42${namespace},${oddHapiEvent(random, namespace, known)}`));
    expect(await connection.finish(CLOSE_BOUND_MS)).toBe(true);
  });
  await expectAlive();
}, 180_000);

test(`${CASES.events} odd events: each is acknowledged that asks for it, and none costs the connection`, async () => {
  const perConnection = 50;
  await many(CASES.events / perConnection, async (index) => {
    const namespace = index % 4 === 0 ? "/terminal" : "/cli";
    const { socket } = await RawSocket.open(server.url);
    const auth =
      namespace === "/cli" ? { token: known.token, sessionId: known.session } : { token: known.jwt };
    socket.send(`40${namespace},${JSON.stringify(auth)}`);
    await socket.next("to be let in", `40${namespace},{"sid"`);
    const ids: number[] = [];
    for (let id = 0; id < perConnection; id++) {
      const isNear = namespace === "/cli" && random.chance(0.5);
      const event = isNear ? nearlyRight(random, known) : oddHapiEvent(random, namespace, known);
      const isAsking = random.chance(0.6);
      if (isAsking) ids.push(id);
      socket.send(`42${namespace},${isAsking ? id : ""}${event}`);
    }
    for (const id of ids) await socket.next(`the acknowledgement ${id}`, `43${namespace},${id}[`);
    socket.close();
  });
  await expectAlive();
}, 180_000);

const routes = everyRoute();
test(`${CASES.ofEachRoute} odd requests to each of ${routes.length} routes, answered by a CLI that is odd itself`, async () => {
  expect(routes.length).toBeGreaterThan(80);
  const names =
    "abort permission switch set-session-config killSession git-status git-diff-numstat git-diff-file readFile ripgrep listSlashCommands listSkills uploadFile deleteUpload listDirectory statFiles readGeneratedImage steer-queued-message rewind-conversation implement-codex-plan listPiModels listOpencodeModels handoff-local";
  const ofMachines =
    "spawn-happy-session path-exists agent-availability list-directory stop-session stop-runner listCodexModels listAgyModels cursor-chat-store-status";
  const answering = async (id: string, auth: { sessionId?: string; machineId?: string }, methods: string) => {
    const cli = await attacker.cli(auth);
    cli.answer = () => random.pick([odd, () => JSON.stringify(odd())])();
    for (const name of methods.split(" ")) cli.emit("rpc-register", { method: `${id}:${name}` });
    await cli.flush();
    return cli;
  };
  const odd = () => JSON.parse(oddJson(random, [known.session])) as Json;
  const session = await answering(known.session, { sessionId: known.session }, names);
  const machine = await answering(known.machine, { machineId: known.machine }, ofMachines);
  const alive = setInterval(() => {
    keepAlive(session, known.session);
    machine.emit("machine-alive", { machineId: known.machine, time: Date.now() });
  }, 200);
  const statuses = new Map<number, number>();
  await many(CASES.ofEachRoute * routes.length, async (index) => {
    const route = routes[index % routes.length] ?? { method: "GET", path: "/" };
    const path = pathOf(random, route, known);
    const bearer = random.chance(0.9) ? (path.startsWith("/cli") ? known.token : known.jwt) : "x.y.z";
    const body = route.method === "GET" ? undefined : oddBody(random, known);
    const answer = await fetch(`${server.url}${path}`, {
      method: route.method,
      headers: { authorization: `Bearer ${bearer}` },
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(20_000),
    }).catch((error: unknown) => {
      throw new Error(`${route.method} ${path}`, { cause: error });
    });
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    if (answer.headers.get("content-type") === "text/event-stream") return void answer.body?.cancel();
    const text = await answer.text();
    // Where the contract has a 500, it is JSON with a text of its own.
    if (answer.status === 500)
      expect([route, path, JSON.parse(text)]).toMatchObject([route, path, { error: expect.any(String) }]);
  }).finally(() => clearInterval(alive));
  for (const cli of [session, machine]) cli.close();
  console.error(`hapi-malformed: ${JSON.stringify(Object.fromEntries([...statuses].sort()))}`);
  await expectAlive();
}, 300_000);

test("a body in pieces that is empty, or ends too early, is one that is none", async () => {
  await many(routes.length * 2, async (index) => {
    const route = routes[index % routes.length] ?? { method: "GET", path: "/" };
    if (route.path === "/api/events") return;
    const path = pathOf(random, route, known).replaceAll(" ", "%20");
    const bearer = path.startsWith("/cli") ? known.token : known.jwt;
    const connection = await RawConnection.open(server.port);
    const pieces = random.pick(["0\r\n\r\n", "0\r\n\r\n", "5\r\nhel", "zz\r\n", "1\r\n{\r\n0\r\n\r\n"]);
    connection.write(
      `${route.method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${pieces}`,
    );
    expect(await connection.finish(CLOSE_BOUND_MS)).toBe(true);
    if (connection.received.startsWith("HTTP/1.1 500")) expect(connection.received).toContain('"error":');
  });
  await expectAlive();
}, 120_000);

test("after all that the bystander has missed nothing, and the server stops cleanly", async () => {
  console.error(`hapi-malformed: bystander ${await bystander.end()}`);
  bystander.close();
  expect(await server.end("SIGTERM")).toBe(0);
  expect(server.output.stderr).toBe("");
}, 30_000);
