// Large and laborious JSON without a token: of the large nothing is parsed, and what the small ones cost is charged to their address
// until it gets no more.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
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

const large = JSON.stringify({ mutations: Array.from({ length: 60_000 }, (_, n) => ({ key: `${n}` })) });
/** As much work as fits into what a stranger may send. */
const laborious = JSON.stringify({ mutations: Array(5_000).fill({}) });

test.each([
  ["a megabyte", "/v1/kv", large, [401]],
  ["a megabyte to the sign-in", "/v1/auth", large, [413, 429]],
  ["a megabyte to the login of topics", "/api/v1/auth/login", large, [400, 429]],
  ["15 KB of mistakes", "/v1/kv", laborious, [400, 401]],
])("%s", async (_name, path, body, expected) => {
  scene = await attacked({
    env: { ROOST_TOPICS_ENABLED: "true", ROOST_MAX_ANONYMOUS_WORK_PER_SECOND: "20" },
  });
  const { server } = scene;
  const attack = (async () => {
    const statuses = new Set<number>();
    for (let round = 0; round < 5; round++) {
      const answers = Array.from({ length: 60 }, () =>
        call(server.url, undefined, "POST", path, body).then(({ status }) => statuses.add(status)),
      );
      await Promise.all(answers);
    }
    return statuses;
  })();
  const { slowestMs } = await repeatedly(() => usual(scene as Attacked), attack);
  for (const status of await attack) expect([...expected]).toContain(status);
  expect(slowestMs).toBeLessThan(5_000);
  expect(memoryOf(server.pid)?.peak ?? 0).toBeLessThan(320 * MIB);
});
