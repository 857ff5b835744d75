// One account that sends as much as it can, over sockets and HTTP, and one that makes rows without end: none of its messages that were
// taken is lost, it ends where its bounds are, and another account goes on.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { newAccount } from "../../support/happy-client.ts";
import { type Attacked, attacked, repeatedly, usual } from "./strangers.ts";

setDefaultTimeout(120_000);

let scene: Attacked | undefined;
afterEach(async () => {
  await scene?.end();
  scene = undefined;
});

test("a flood of messages over four sockets and HTTP: all are stored, each socket's in order, and others do not wait", async () => {
  scene = await attacked({
    env: { ROOST_MAX_ACCOUNT_MESSAGES_PER_SECOND: "200", ROOST_RATE_LIMITS: "false" },
  });
  const flooder = await newAccount(scene.server.url);
  const { body } = await flooder.call("POST", "/v1/sessions", { tag: "t", metadata: "bWV0YQ==" });
  const sid = body.session.id as string;
  const sockets = await Promise.all([1, 2, 3, 4].map(() => flooder.connect()));
  const EACH = 700;
  const flood = (async () => {
    for (const [index, { socket }] of sockets.entries())
      for (let n = 0; n < EACH; n++) socket.emit("message", { sid, message: "m", localId: `${index}-${n}` });
    let posted = 0;
    while (posted < 300) {
      const messages = Array.from({ length: 50 }, (_, n) => ({
        content: "c",
        localId: `http-${posted + n}`,
      }));
      const answer = await flooder.call("POST", `/v3/sessions/${sid}/messages`, { messages });
      if (answer.status === 200) posted += 50;
      else {
        expect(answer.status).toBe(429);
        await Bun.sleep(Math.min(1, Number(answer.headers.get("retry-after"))) * 500);
      }
    }
    for (const socket of sockets) await socket.settled();
  })();
  const work = await repeatedly(() => usual(scene as Attacked), flood);
  await flood;
  expect(work.slowestMs).toBeLessThan(3_000);
  const stored: string[] = [];
  for (let after = 0; ; ) {
    const page = await flooder.call("GET", `/v3/sessions/${sid}/messages?after_seq=${after}&limit=500`);
    stored.push(...page.body.messages.map(({ localId }: { localId: string }) => localId));
    if (!page.body.hasMore) break;
    after = page.body.messages.at(-1).seq;
  }
  expect(stored).toHaveLength(4 * EACH + 300);
  for (const index of sockets.keys())
    expect(stored.filter((id) => id.startsWith(`${index}-`))).toEqual(
      Array.from({ length: EACH }, (_, n) => `${index}-${n}`),
    );
  for (const socket of sockets) socket.close();
});

test("empty rows without end: it hears 507 where its bound is, and can delete; others store on", async () => {
  scene = await attacked({ env: { ROOST_MAX_ACCOUNT_BYTES: "300000", ROOST_RATE_LIMITS: "false" } });
  const maker = await newAccount(scene.server.url);
  let made = 0;
  for (;;) {
    const mutations = Array.from({ length: 100 }, (_, n) => ({
      key: `k${made + n}`,
      value: null,
      version: -1,
    }));
    const { status } = await maker.call("POST", "/v1/kv", { mutations });
    if (status !== 200) {
      expect(status).toBe(507);
      break;
    }
    made += 100;
    expect(made).toBeLessThan(1_200);
  }
  expect(made).toBeGreaterThan(900);
  expect((await maker.call("POST", "/v1/sessions", { tag: "t", metadata: "m".repeat(30_000) })).status).toBe(
    507,
  );
  await usual(scene);
});
