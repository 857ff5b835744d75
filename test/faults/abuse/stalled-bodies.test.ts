// Bodies that lack their last byte: those of strangers hold little and not for long, make place for who is in earnest, and never keep an
// account from sending; those of one account neither.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { newAccount } from "../../support/happy-client.ts";
import { memoryOf } from "../server-process.ts";
import { type Attacked, attacked, Crowd, repeatedly, usual } from "./strangers.ts";

setDefaultTimeout(120_000);
const MIB = 1024 * 1024;
let scene: Attacked | undefined;
const crowds: Crowd[] = [];
afterEach(async () => {
  for (const crowd of crowds.splice(0)) crowd.end();
  await scene?.end();
  scene = undefined;
});

const request = (line: string, headers: string, bytes: number) =>
  `${line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}Content-Length: ${bytes}\r\n\r\n${" ".repeat(bytes - 1)}`;

async function stalled(sends: string, connections: number): Promise<void> {
  const { port } = (scene as Attacked).server;
  for (let n = 0; n < 4; n++) {
    const crowd = new Crowd({ port, from: `127.0.0.${n + 2}`, sends });
    crowds.push(crowd);
    await crowd.open(connections / 4);
  }
}

async function goesOn(): Promise<void> {
  const attack = Bun.sleep(2_000);
  const { server } = scene as Attacked;
  const [work, arrivals] = await Promise.all([
    repeatedly(() => usual(scene as Attacked), attack),
    repeatedly(async () => void (await newAccount(server.url)), attack),
  ]);
  expect(work.slowestMs).toBeLessThan(5_000);
  expect(arrivals.slowestMs).toBeLessThan(5_000);
  expect(memoryOf(server.pid)?.peak ?? 0).toBeLessThan(320 * MIB);
}

const UNBOUNDED = { ROOST_MAX_CONNECTIONS_PER_ADDRESS: "0" };

test.each([
  ["a sign-in", "POST /v1/auth"],
  ["a route with a token", "POST /v1/sessions"],
])("of strangers to %s", async (_name, line) => {
  scene = await attacked({ env: { ...UNBOUNDED, ROOST_MAX_BODY_BYTES_IN_FLIGHT: `${16 * MIB}` } });
  await stalled(request(line, "", 16_384), 1_200);
  await goesOn();
});

test("of one account", async () => {
  scene = await attacked({ env: { ...UNBOUNDED, ROOST_MAX_BODY_BYTES_IN_FLIGHT: `${64 * MIB}` } });
  const bearer = `Authorization: Bearer ${scene.account.token}\r\n`;
  await stalled(request(`POST /v3/sessions/${scene.sessionId}/messages`, bearer, 65_536), 600);
  await goesOn();
});
