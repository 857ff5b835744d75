// How many may come, and how often: what an address, a network, a proven identity and all strangers together have. On a clock that the
// test sets, without a socket.
import { describe, expect, test } from "bun:test";
import { FRAMES_SECRET, framesToken } from "../../test/support/frames-token.ts";
import { HUB_DEFAULTS } from "../../test/support/hub-node.ts";
import { Bounds } from "../limits/bounds.ts";
import { createLog } from "../observability/log.ts";
import { Metrics } from "../observability/metrics.ts";
import { Admission, type Admitted } from "./admission.ts";
import { FRAMES_BOUNDS } from "./bounds.ts";
import type { Client } from "./client.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { Identity } from "./identity.ts";
import { hubMetrics } from "./metrics.ts";
import { Shares } from "./shares.ts";

const auth = { secret: FRAMES_SECRET, issuer: "gohub", allowAnonymous: true, anonymousPermissions: [] };

interface Options extends Partial<HubSettings> {
  readonly isShared?: (address: string) => boolean;
}

/** A door before a hub that has the clients that the test gives it. */
function door({ isShared = () => false, ...changed }: Options = {}) {
  const settings = { ...HUB_DEFAULTS, ...changed };
  const clock = { now: 0 };
  const holders = new Map<string, Client>();
  const hub = {
    clientCount: 0,
    find: (id: string) => holders.get(id),
  };
  const probed: string[] = [];
  const metrics = new Metrics();
  const admission = new Admission({
    hub,
    settings,
    shares: new Shares(settings, () => clock.now),
    names: { publicUrl: undefined },
    isShared,
    metrics: hubMetrics(metrics),
    bounds: new Bounds(metrics, createLog("silent"), undefined, FRAMES_BOUNDS),
  });
  const admit = (clientAddress: string, query: Record<string, string> = {}, headers = {}) =>
    admission.admit(new Request(`http://hub.example/ws?${new URLSearchParams(query)}`, { headers }), {
      clientAddress,
      trustedProxy: false,
      isSecure: false,
    });
  const hold = (identity: Identity) => {
    const client = { id: identity.id, identity, probe: () => probed.push(identity.id) };
    holders.set(identity.id, client as unknown as Client);
  };
  /** The status of a refusal with its text, or "in". */
  const outcome = async (...request: Parameters<typeof admit>) => {
    const answer = await admit(...request);
    return answer instanceof Response ? `${answer.status} ${(await answer.text()).trim()}` : "in";
  };
  const share = async (...request: Parameters<typeof admit>) => ((await admit(...request)) as Admitted).share;
  const times = async (count: number, ...request: Parameters<typeof admit>) => {
    const outcomes: string[] = [];
    for (let index = 0; index < count; index++) outcomes.push(await outcome(...request));
    return outcomes;
  };
  return { admit, outcome, share, times, hold, hub, clock, probed, metrics };
}

const many = (count: number, outcome: string) => Array.from({ length: count }, () => outcome);
const [ONE, OTHER] = ["198.51.100.1", "198.51.100.2"];

describe("how often", () => {
  /** Ten at once, then two a second. */
  const rate = { maxConnectionsPerSecond: 2, auth };

  test("an address comes so often and is then asked to wait; another address is not", async () => {
    const { times, outcome, admit, clock, metrics } = door(rate);
    expect(await times(11, ONE)).toEqual([...many(10, "in"), "429 too many connections"]);
    const refused = await admit(ONE);
    expect(refused instanceof Response && refused.headers.get("retry-after")).toBe("1");
    expect(await outcome(OTHER)).toBe("in");
    clock.now = 1_000;
    expect(await times(3, ONE)).toEqual(["in", "in", "429 too many connections"]);
    expect(metrics.render()).toContain('roost_bound_refusals_total{bound="frames-connections"} 3\n');
  });

  test("who proves an identity counts for it, at every address, and not for the address", async () => {
    const { times, outcome } = door(rate);
    const token = await framesToken({ user_id: "alice" });
    await times(11, ONE);
    expect(await times(5, ONE, { token })).toEqual(many(5, "in"));
    expect(await times(6, OTHER, { token })).toEqual([...many(5, "in"), "429 too many connections"]);
    expect(await outcome(OTHER)).toBe("in");
    expect(await outcome(ONE, { token: await framesToken({ user_id: "bob" }) })).toBe("in");
  });

  test("a token that fails costs its address as much as one that comes in", async () => {
    const { times, outcome } = door(rate);
    expect(await times(11, ONE, { token: "garbage" })).toEqual([
      ...many(10, "401 the token is not valid"),
      "429 too many connections",
    ]);
    expect(await outcome(ONE)).toBe("429 too many connections");
    expect(await times(11, OTHER, { client_id: "\n" })).toContain("429 too many connections");
  });

  test("all addresses of an IPv6 network are one", async () => {
    const { times, outcome } = door(rate);
    await times(10, "2001:db8:1:2::1");
    expect(await outcome("2001:db8:1:2:ffff::9")).toBe("429 too many connections");
    expect(await outcome("2001:db8:1:3::1")).toBe("in");
  });

  test("an address that many people share has more", async () => {
    const { times } = door({ ...rate, isShared: (address) => address === ONE });
    expect(await times(41, ONE)).toEqual([...many(40, "in"), "429 too many connections"]);
    expect(await times(11, OTHER)).toContain("429 too many connections");
  });
});

describe("how many", () => {
  test("an address holds so many clients; one that replaces its own is not one more", async () => {
    const { outcome, share, admit, hold } = door({ maxClientsPerAddress: 2, auth });
    const token = await framesToken({ user_id: "alice" });
    (await share(ONE)).clients = 2;
    expect(await outcome(ONE)).toBe("429 too many clients");
    const refused = await admit(ONE);
    expect(refused instanceof Response && refused.headers.get("retry-after")).toBe("5");
    expect(await outcome(OTHER)).toBe("in");
    expect(await outcome(ONE, { token })).toBe("in");
    (await share(ONE, { token })).clients = 2;
    expect(await outcome(ONE, { token })).toBe("429 too many clients");
    hold({ id: "alice", subject: "user alice" });
    expect(await outcome(ONE, { token })).toBe("in");
  });

  test("strangers have three quarters of the places where tokens are asked for, and all where they are not", async () => {
    const token = await framesToken({ user_id: "alice" });
    const { outcome, hub } = door({ maxClients: 100, auth });
    hub.clientCount = 74;
    expect(await outcome(ONE)).toBe("in");
    hub.clientCount = 75;
    expect(await outcome(ONE)).toBe("503 too many clients");
    hub.clientCount = 99;
    expect(await outcome(ONE, { token })).toBe("in");
    hub.clientCount = 100;
    expect(await outcome(ONE, { token })).toBe("503 too many clients");
    const open = door({ maxClients: 100 });
    open.hub.clientCount = 99;
    expect(await open.outcome(ONE)).toBe("in");
    open.hub.clientCount = 100;
    expect(await open.outcome(ONE)).toBe("503 too many clients");
  });
});

test("a name that is taken is asked whether its holder lives; a free one asks nobody", async () => {
  const { outcome, hold, probed } = door();
  hold({ id: "a" });
  expect(await outcome(ONE, { client_id: "b" })).toBe("in");
  expect(probed).toEqual([]);
  expect(await outcome(ONE, { client_id: "a" })).toBe("409 this client id is in use");
  expect(probed).toEqual(["a"]);
});

test("where origins are listed, a token does not stand for one", async () => {
  const { outcome } = door({ auth, origins: ["https://app.example"] });
  const token = await framesToken();
  expect(await outcome(ONE, { token }, { origin: "https://evil.example" })).toStartWith("403");
  expect(await outcome(ONE, { token }, { origin: "https://app.example" })).toBe("in");
});

test("the header's token may stand behind several blanks, and is none with a blank in it", async () => {
  const { outcome } = door({ auth: { ...auth, allowAnonymous: false } });
  const token = await framesToken();
  const bearing = (authorization: string) => outcome(ONE, {}, { authorization });
  expect(await bearing(`Bearer   ${token}`)).toBe("in");
  for (const header of [`Bearer ${token} x`, `bearer ${token}`, "Bearer ", `Basic ${token}`])
    expect([header, await bearing(header)]).toEqual([header, "401 a token is required"]);
});
