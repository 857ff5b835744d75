// Sign-ins whose challenge is as large as a body may be, all at once: each is refused before it is decoded, and honest ones are checked
// in no time.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import nacl from "tweetnacl";
import { call } from "../../support/happy-client.ts";
import { memoryOf } from "../server-process.ts";
import { type Attacked, attacked, repeatedly, usual } from "./strangers.ts";

setDefaultTimeout(120_000);
const MIB = 1024 * 1024;
let scene: Attacked | undefined;
afterEach(async () => {
  await scene?.end();
  scene = undefined;
});

const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

test.each([
  ["1 MiB", 700_000, [413]],
  ["11 KiB", 11_000, [400]],
  ["1 KiB and a byte", 1_025, [400]],
  ["1 KiB, with a wrong signature", 1_024, [401]],
])("challenges of %s", async (_name, bytes, expected) => {
  scene = await attacked({ env: { ROOST_RATE_LIMITS: "false" } });
  const { server } = scene;
  const body = JSON.stringify({
    publicKey: b64(nacl.sign.keyPair().publicKey),
    challenge: b64(new Uint8Array(bytes)),
    signature: b64(new Uint8Array(64)),
  });
  const attack = (async () => {
    const statuses = new Set<number>();
    for (let round = 0; round < 4; round++) {
      const answers = Array.from({ length: 100 }, () =>
        call(server.url, undefined, "POST", "/v1/auth", body).then(({ status }) => statuses.add(status)),
      );
      await Promise.all(answers);
    }
    return statuses;
  })();
  const { slowestMs } = await repeatedly(() => usual(scene as Attacked), attack);
  expect([...(await attack)]).toEqual([...expected]);
  expect(slowestMs).toBeLessThan(5_000);
  expect(memoryOf(server.pid)?.peak ?? 0).toBeLessThan(320 * MIB);
});
