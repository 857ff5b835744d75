// Connections that say nothing, far more than there are file descriptors, opened again as fast as they are closed: accounts go on
// storing, and new ones come in.
import { afterEach, expect, setDefaultTimeout } from "bun:test";
import { newAccount } from "../../support/happy-client.ts";
import { onLinux } from "../../support/needs.ts";
import { until } from "../../support/until.ts";
import { type Attacked, attacked, Crowd, repeatedly, usual } from "./strangers.ts";

setDefaultTimeout(60_000);
const DESCRIPTORS = 400;
/** What a tenth of them leaves to strangers, and some that were just opened. */
const wrapper = ["sh", "-c", `ulimit -n ${DESCRIPTORS}; exec "$@"`, "sh"];

let scene: Attacked | undefined;
const crowds: Crowd[] = [];
afterEach(async () => {
  for (const crowd of crowds.splice(0)) crowd.end();
  await scene?.end();
  scene = undefined;
});

const crowd = (options: ConstructorParameters<typeof Crowd>[0]) => {
  const made = new Crowd(options);
  crowds.push(made);
  return made;
};

onLinux.test("at the descriptor limit uploads and sign-ins go on", async () => {
  scene = await attacked({ wrapper });
  const { server } = scene;
  const strangers = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map((from) =>
    crowd({ port: server.port, from, reopen: true }),
  );
  await Promise.all(strangers.map((one) => one.open(300)));
  const attack = Bun.sleep(4_000);
  const [work, arrivals] = await Promise.all([
    repeatedly(() => usual(scene as Attacked), attack),
    repeatedly(async () => void (await newAccount(server.url)), attack),
  ]);
  expect(work.slowestMs).toBeLessThan(5_000);
  expect(arrivals.slowestMs).toBeLessThan(5_000);
  expect(strangers.reduce((sum, { closed }) => sum + closed, 0)).toBeGreaterThan(300);
  const said = server.logged(40).map(({ msg }) => msg);
  expect(said).toContain("file descriptors run out; connections of strangers were closed");
});

onLinux.test(
  "one address holds no more than its cap; sockets and keep-alive connections of accounts stay",
  async () => {
    scene = await attacked({
      env: { ROOST_MAX_CONNECTIONS_PER_ADDRESS: "40", ROOST_TRUSTED_PROXIES: "10.0.0.1" },
    });
    const { server, account } = scene;
    const phone = await account.connect();
    const bearer = `Authorization: Bearer ${account.token}\r\n`;
    const kept = crowd({
      port: server.port,
      from: "127.0.0.1",
      sends: `GET /v1/account/profile HTTP/1.1\r\nHost: x\r\n${bearer}\r\n`,
    });
    await kept.open(80);
    await until("every request of the account is answered", () => kept.answers.length === 80);
    const stranger = crowd({ port: server.port, from: "127.0.0.2" });
    await stranger.open(400);
    await until("the stranger is down to its cap", () => stranger.size <= 40);
    expect(stranger.size).toBe(40);
    expect(kept.size).toBe(80);
    expect(phone.socket.connected).toBe(true);
    await phone.settled();
    phone.close();
    const said = server.logged(40).map(({ msg }) => msg);
    expect(said).toContain("an address holds too many connections; further ones were closed");
  },
);
