// Thousands of requests that promise a body and send nothing: accounts' requests go on, newcomers come in, nothing fills the memory.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { rounds } from "../../support/full.ts";
import { newAccount } from "../../support/happy-client.ts";
import { memoryOf } from "../server-process.ts";
import { type Attacked, attacked, Crowd, repeatedly, usual } from "./strangers.ts";

setDefaultTimeout(120_000);
const MIB = 1024 * 1024;
const CONNECTIONS = rounds(1_200, 4_200);

let scene: Attacked | undefined;
const crowds: Crowd[] = [];
afterEach(async () => {
  for (const crowd of crowds.splice(0)) crowd.end();
  await scene?.end();
  scene = undefined;
});

test.each([
  ["of 64 KiB to a route with a token", "POST /v1/sessions", 65_536, ""],
  ["of 16 KiB to a route with a token", "POST /v1/sessions", 16_384, ""],
  ["of 64 KiB with a token that is none", "POST /v1/sessions", 65_536, "Authorization: Bearer a.b.c\r\n"],
  ["of 16 KiB to the sign-in", "POST /v1/auth", 16_384, ""],
  ["of unknown length", "POST /v1/auth", undefined, ""],
])("bodies %s", async (_name, line, promised, token) => {
  // As much as thousands of promises of 64 KiB are to the default.
  const env = { ROOST_MAX_BODY_BYTES_IN_FLIGHT: `${16 * MIB}`, ROOST_MAX_CONNECTIONS_PER_ADDRESS: "0" };
  scene = await attacked({ env });
  const { server } = scene;
  const size = promised === undefined ? "Transfer-Encoding: chunked" : `Content-Length: ${promised}`;
  const sends = `${line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${token}${size}\r\n\r\n`;
  for (let n = 0; n < 6; n++) {
    const crowd = new Crowd({ port: server.port, from: `127.0.0.${n + 2}`, sends });
    crowds.push(crowd);
    await crowd.open(CONNECTIONS / 6);
  }
  const attack = Bun.sleep(2_000);
  const [work, arrivals] = await Promise.all([
    repeatedly(() => usual(scene as Attacked), attack),
    repeatedly(async () => void (await newAccount(server.url)), attack),
  ]);
  expect(work.slowestMs).toBeLessThan(5_000);
  expect(arrivals.slowestMs).toBeLessThan(5_000);
  expect(memoryOf(server.pid)?.peak ?? 0).toBeLessThan(320 * MIB);
});
