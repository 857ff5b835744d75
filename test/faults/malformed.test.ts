// Whatever arrives from outside, the process lives and the others never notice. Thousands of generated cases of broken
// WebSocket frames, Engine.IO and Socket.IO packets, polling bodies and HTTP requests, while a bystander keeps talking.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rounds } from "../support/full.ts";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { oddEvent, oddFrames } from "./malformed-frames.ts";
import { type KnownIds, oddPayload, oddRequest } from "./malformed-requests.ts";
import { seeded } from "./random.ts";
import { frame, RawConnection } from "./raw-connection.ts";
import { memoryOf, type ServerProcess, startProcess } from "./server-process.ts";

const CASES = {
  frames: rounds(3_000, 12_000),
  events: rounds(3_000, 12_000),
  polling: rounds(750, 3_000),
  requests: rounds(3_000, 12_000),
  halfRequests: 500,
};
const AT_ONCE = 24;
/** A server that needs longer than this for a hopeless connection holds it open for nothing. */
const CLOSE_BOUND_MS = 10_000;
const ROUND_TRIP_BOUND_MS = 5_000;

const random = seeded("malformed");
const dataDir = mkdtempSync(join(tmpdir(), "roost-malformed-"));
let server: ServerProcess;
let known: KnownIds;
let bystander: Bystander;

beforeAll(async () => {
  server = await startProcess({ dataDir, env: { ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false" } });
  const attacker = await newAccount(server.url);
  const opened = await attacker.call("POST", "/v1/sessions", { tag: "t", metadata: "m" });
  await attacker.call("POST", "/v1/machines", { id: "attacked", metadata: "m" });
  known = { token: attacker.token, session: opened.body.session.id, machine: "attacked" };
  bystander = await Bystander.begin(await newAccount(server.url));
}, 30_000);

afterAll(async () => {
  bystander?.close();
  await server?.end("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

/** Somebody else, who sends, listens and measures all the while. */
class Bystander {
  readonly #trouble: string[] = [];
  #sent = 0;
  #slowest = 0;
  #ending = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(
    private readonly account: Account,
    private readonly sid: string,
    private readonly phone: Listener,
  ) {}

  static async begin(account: Account): Promise<Bystander> {
    const opened = await account.call("POST", "/v1/sessions", { tag: "bystander", metadata: "m" });
    const phone = await account.connect();
    const bystander = new Bystander(account, opened.body.session.id, phone);
    phone.socket.once("disconnect", (reason) => bystander.#trouble.push(`disconnected: ${reason}`));
    bystander.#loop = bystander.#talk();
    return bystander;
  }

  async #talk(): Promise<void> {
    while (!this.#ending && this.#trouble.length === 0) {
      const begun = performance.now();
      const messages = [{ content: `${this.#sent}`, localId: `${this.#sent}` }];
      const { status } = await this.account.call("POST", `/v3/sessions/${this.sid}/messages`, { messages });
      if (status !== 200) this.#trouble.push(`a message was answered with ${status}`);
      this.#sent++;
      await this.phone.settled();
      this.#slowest = Math.max(this.#slowest, performance.now() - begun);
      await Bun.sleep(10);
    }
  }

  /** What it has noticed so far: nothing. */
  async expectUndisturbed(): Promise<void> {
    expect(this.#trouble).toEqual([]);
    await this.phone.settled();
    const heard = this.phone.updates.flatMap(({ body }) =>
      body.t === "new-message" ? [body.message.localId] : [],
    );
    expect(heard.slice(0, this.#sent)).toEqual(Array.from({ length: this.#sent }, (_, index) => `${index}`));
    expect(this.#slowest).toBeLessThan(ROUND_TRIP_BOUND_MS);
  }

  async end(): Promise<string> {
    this.#ending = true;
    await this.#loop;
    await this.expectUndisturbed();
    return `${this.#sent} round trips, the slowest ${Math.round(this.#slowest)} ms`;
  }

  close(): void {
    this.#ending = true;
    this.phone.close();
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
  await bystander.expectUndisturbed();
}

test(`${CASES.frames} connections with broken frames and packets`, async () => {
  await many(CASES.frames, async () => {
    const connection = await RawConnection.webSocket(server.port);
    if (random.chance(0.4)) {
      connection.write(frame(`40{"token":"${known.token}"}`));
      await connection.until((received) => received.includes('40{"sid"'), ROUND_TRIP_BOUND_MS);
    }
    for (const bytes of oddFrames(random, [known.token, known.session])) connection.write(bytes);
    expect(await connection.finish(CLOSE_BOUND_MS)).toBe(true);
  });
  await expectAlive();
}, 120_000);

test(`${CASES.events} odd events cost nobody the connection`, async () => {
  const perConnection = 50;
  await many(CASES.events / perConnection, async () => {
    const connection = await RawConnection.webSocket(server.port);
    const scope = random
      .pick(["{}", `{"clientType":"session-scoped","sessionId":"${known.session}"}`])
      .slice(1);
    connection.write(frame(`40{"token":"${known.token}"${scope === "}" ? scope : `,${scope}`}`));
    await connection.until((received) => received.includes('40{"sid"'), ROUND_TRIP_BOUND_MS);
    for (let index = 0; index < perConnection; index++)
      connection.write(frame(oddEvent(random, [known.session, known.machine])));
    connection.write(frame('42987654321["ping"]'));
    expect(
      await connection.until((received) => received.includes("43987654321[{}]"), ROUND_TRIP_BOUND_MS),
    ).toBe(true);
    connection.destroy();
  });
  await expectAlive();
}, 120_000);

test(`${CASES.polling} long-polling sessions with broken bodies`, async () => {
  const polling = `${server.url}/v1/updates/?EIO=4&transport=polling`;
  await many(CASES.polling, async () => {
    const handshake = await (await fetch(polling)).text();
    const sid = JSON.parse(handshake.slice(1)).sid as string;
    const send = async (body: string, method = "POST") => {
      const { status } = await fetch(`${polling}&sid=${sid}`, { method, body });
      expect([200, 400, 413]).toContain(status);
    };
    if (random.chance(0.5)) await send(`40{"token":"${known.token}"}`);
    if (random.chance(0.2)) {
      // Two polls at once, one of them given up.
      const impatient = fetch(`${polling}&sid=${sid}`, { signal: AbortSignal.timeout(random.whole(1, 20)) });
      await Promise.allSettled([
        impatient,
        fetch(`${polling}&sid=${sid}`, { signal: AbortSignal.timeout(50) }),
      ]);
    }
    await send(oddPayload(random, known), random.pick(["POST", "POST", "POST", "PUT", "DELETE"]));
    await send("1");
  });
  await expectAlive();
}, 120_000);

test(`${CASES.requests} broken HTTP requests`, async () => {
  await many(CASES.requests, async () => {
    const connection = await RawConnection.open(server.port);
    connection.write(oddRequest(random, known));
    expect(await connection.finish(CLOSE_BOUND_MS)).toBe(true);
    expect(connection.received).not.toMatch(/^HTTP\/1\.1 500 /m);
  });
  await expectAlive();
}, 120_000);

test(`${CASES.halfRequests} half requests are left open and keep nobody waiting`, async () => {
  const open: RawConnection[] = [];
  await many(CASES.halfRequests, async () => {
    const connection = await RawConnection.open(server.port);
    const request = `POST /v1/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"publicKey":"`;
    connection.write(request.slice(0, random.whole(0, request.length)));
    open.push(connection);
  });
  await expectAlive();
  for (const connection of open) connection.destroy();
  await expectAlive();
}, 60_000);

test("made-up namespaces leave nothing behind", async () => {
  const round = async (name: number) => {
    const connection = await RawConnection.webSocket(server.port);
    for (let index = 0; index < 10_000; index++)
      connection.write(frame(`40/i/${name}x${index},{"token":"x"}`));
    await connection.until((received) => received.includes(`44/i/${name}x9999,`), 20_000);
    connection.destroy();
  };
  for (let name = 0; name < 4; name++) await round(name);
  const before = memoryOf(server.pid);
  for (let name = 4; name < 20; name++) await round(name);
  const after = memoryOf(server.pid);
  if (before !== undefined && after !== undefined)
    expect(after.resident - before.resident).toBeLessThan(80 * 1024 * 1024);
  await expectAlive();
}, 60_000);

test("after all that the bystander has missed nothing, and the server stops cleanly", async () => {
  console.error(`malformed: bystander ${await bystander.end()}`);
  bystander.close();
  expect(await server.end("SIGTERM")).toBe(0);
  expect(server.output.stderr).toBe("");
}, 30_000);
