// T13 and H09, H10: who may connect, under which id, with which permissions, and for how long (frames contract, section 13).
import { afterEach, describe, expect, test } from "bun:test";
import { FramesClient, rawPeer } from "../../test/support/frames-client.ts";
import {
  FRAMES_SECRET,
  type FramesClaims,
  inSeconds,
  framesToken as token,
} from "../../test/support/frames-token.ts";
import { type HubNode, type HubNodeOptions, hubNode } from "../../test/support/hub-node.ts";
import { until } from "../../test/support/until.ts";

/** Of the contract: user u1, permissions join:room and send:message, valid until 2030. */
const TOKEN =
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjoidTEiLCJ1c2VybmFtZSI6ImFsaWNlIiwicGVybWlzc2lvbnMiOlsiam9pbjpyb29tIiwic2VuZDptZXNzYWdlIl0sImlzcyI6ImdvaHViIiwic3ViIjoidTEiLCJleHAiOjE4OTM0NTYwMDAsIm5iZiI6MTcwMDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwfQ.ikBBeMU-ovOMoWl5xtFomHPCIJxKPS3kiEiij23NF2w";

const auth = {
  secret: FRAMES_SECRET,
  issuer: "gohub",
  allowAnonymous: true,
  anonymousPermissions: [] as string[],
};
const strict = { ...auth, allowAnonymous: false };

const nodes: HubNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});
async function start(options: HubNodeOptions = {}): Promise<HubNode> {
  const node = await hubNode(options);
  nodes.push(node);
  return node;
}

/** The status of an upgrade: 101, or the refusal. */
async function status(
  node: HubNode,
  query: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(`${node.url}/ws?${new URLSearchParams(query)}`, {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    },
  });
  if (response.status !== 101) await response.text();
  return response.status;
}

describe("T13 tokens", () => {
  test("H10 a valid token: 101, and the client is the token's user", async () => {
    const node = await start({ settings: { auth: strict } });
    const client = await FramesClient.connect(node.url, { token: TOKEN, client_id: "ignored" });
    expect(node.sdk.getClient("u1").id).toBe("u1");
    expect(node.sdk.isAuthenticated("u1")).toBe(true);
    expect(node.sdk.getClientPermissions("u1")).toEqual(["join:room", "send:message"]);
    expect(node.sdk.checkClientPermission("u1", "send:message")).toBe(true);
    expect(node.sdk.checkClientPermission("u1", "create:room")).toBe(false);
    await client.close();
    await FramesClient.connect(node.url, {}, { authorization: `Bearer ${TOKEN}` });
    expect(node.metrics.render()).toContain("gohub_auth_success 2\n");
  });

  test("the query's token wins over the header's", async () => {
    const node = await start({ settings: { auth } });
    expect(await status(node, { token: "garbage" }, { authorization: `Bearer ${TOKEN}` })).toBe(401);
    expect(await status(node, { token: "" }, { authorization: "Bearer garbage" })).toBe(401);
  });

  test("anonymous: let in where that is allowed, 401 where it is not", async () => {
    const open = await start({ settings: { auth } });
    const client = await open.connect("guest");
    expect(open.sdk.isAuthenticated("guest")).toBe(false);
    expect(open.sdk.getClientPermissions("guest")).toEqual([]);
    const refused = await client.ask({ message_id: 3, message_type: "join_room", data: { room_id: "r" } });
    expect(refused.data).toMatchObject({ code: 2001, request_id: 3 });
    const closed = await start({ settings: { auth: strict } });
    expect(await status(closed, { client_id: "guest" })).toBe(401);
    expect(closed.metrics.render()).toContain("gohub_auth_failure 1\n");
  });

  const cases: [string, () => Promise<string>][] = [
    ["garbage", async () => "garbage"],
    ["another secret", () => token({}, { secret: "other" })],
    ["another issuer", () => token({ iss: "other" })],
    ["no issuer", () => token({ iss: undefined })],
    ["no exp", () => token({ exp: undefined })],
    ["expired", () => token({ exp: inSeconds(-1) })],
    ["expires now", () => token({ exp: inSeconds(0) })],
    ["not yet valid", () => token({ nbf: inSeconds(60) })],
    ["alg none", async () => `${btoa('{"alg":"none"}')}.${TOKEN.split(".")[1]}.`],
    ["a changed payload", async () => TOKEN.replace("eyJ1c2VyX2lkIjoidTEi", "eyJ1c2VyX2lkIjoidTIi")],
    ["permissions that are no list", () => token({ permissions: "admin:system" })],
    ["a user id with control characters", () => token({ user_id: "a\nb" })],
    ["a user id that is too long", () => token({ user_id: "x".repeat(129) })],
    ["an absurd length", async () => "x".repeat(14_000)],
  ];
  test.each(cases)("%s: 401, also where anonymous clients are allowed", async (_, make) => {
    const node = await start({ settings: { auth } });
    expect(await status(node, { token: await make() })).toBe(401);
    expect(node.sdk.getClientCount()).toBe(0);
  });

  test("only HS256 counts, also when another algorithm was used with the right secret", async () => {
    const long = "a secret that is long enough for every algorithm of the family, 64+";
    const node = await start({ settings: { auth: { ...auth, secret: long } } });
    expect(await status(node, { token: await token({}, { secret: long }) })).toBe(101);
    for (const alg of ["HS384", "HS512"])
      expect(await status(node, { token: await token({}, { secret: long, alg }) })).toBe(401);
  });

  test("a token without a user leaves the name to the client", async () => {
    const node = await start({ settings: { auth: strict } });
    await FramesClient.connect(node.url, { token: await token({ user_id: undefined }), client_id: "named" });
    expect(node.sdk.isAuthenticated("named")).toBe(true);
  });

  test("the connection ends with 4001 when the token's time is over, unless that is switched off", async () => {
    const node = await start({ settings: { auth } });
    const lasting = await start({ settings: { auth, closeOnExpiry: false } });
    const short = await token({ exp: inSeconds(2) });
    const client = await FramesClient.connect(node.url, { token: short });
    const stays = await FramesClient.connect(lasting.url, { token: short });
    expect(await client.closed).toEqual({ code: 4001, reason: "token expired" });
    expect((await stays.settled()).ending).toBeUndefined();
  });

  test("a token for ten years does not overflow the timer", async () => {
    const node = await start({ settings: { auth } });
    const client = await FramesClient.connect(node.url, {
      token: await token({ exp: inSeconds(315_360_000) }),
    });
    expect((await client.settled()).ending).toBeUndefined();
  });
});

describe("permissions", () => {
  test.each([
    ["join_room", "join:room", true],
    ["join_room", "leave:room", false],
    ["leave_room", "leave:room", true],
    ["leave_room", "join:room", true],
    ["leave_room", "send:message", false],
    ["room_message", "send:message", true],
    ["room_message", "read:message", false],
    ["direct_message", "send:message", true],
    ["direct_message", "join:room", false],
    ["direct_message", "admin:system", true],
    ["join_room", "admin:system", true],
    ["ping", "nothing", true],
  ])("H09 %s with %s: %p", async (message_type, permission, permitted) => {
    const node = await start({ settings: { auth } });
    const client = await FramesClient.connect(node.url, {
      token: await token({ permissions: [permission] }),
    });
    const reply = await client.ask({
      message_id: 9,
      message_type,
      data: { room_id: "nowhere", target_id: "nobody", content: "x" },
    });
    expect(reply.data.code === 2001).toBe(!permitted);
  });

  test("a token that names no user gives its permissions and no others, under the name that the client chose", async () => {
    const node = await start({ settings: { auth: { ...auth, anonymousPermissions: ["join:room"] } } });
    await FramesClient.connect(node.url, {
      token: await token({ user_id: undefined, permissions: ["read:message"] }),
      client_id: "named",
    });
    expect(node.sdk.getClientPermissions("named")).toEqual(["read:message"]);
    expect(node.sdk.checkClientPermission("named", "join:room")).toBe(false);
  });

  test("anonymous clients have what the configuration gives them; without tokens everybody has everything", async () => {
    const node = await start({ settings: { auth: { ...auth, anonymousPermissions: ["join:room"] } } });
    await node.connect("guest");
    expect(node.sdk.getClientPermissions("guest")).toEqual(["join:room"]);
    const open = await start();
    await open.connect("anybody");
    expect(open.sdk.getClientPermissions("anybody")).toBeUndefined();
    expect(open.sdk.checkClientPermission("anybody", "admin:system")).toBe(true);
  });
});

describe("ids", () => {
  test("the given id, or a random UUID", async () => {
    const node = await start();
    await FramesClient.connect(node.url, { client_id: "möwe/1 ☃" });
    expect(node.sdk.getClient("möwe/1 ☃").id).toBe("möwe/1 ☃");
    const ids: string[] = [];
    node.sdk.on("client_connected", ({ clientId }) => ids.push(clientId ?? ""));
    await FramesClient.connect(node.url);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test.each(["", "x".repeat(129), "a\u0000b", "a\nb", "a\u007fb", "a\u0085b"])(
    "%p is 400",
    async (client_id) => {
      const node = await start();
      expect(await status(node, { client_id })).toBe(400);
    },
  );

  test("128 characters are not too many, however many bytes they have", async () => {
    const node = await start();
    await FramesClient.connect(node.url, { client_id: "😀".repeat(128) });
    expect(node.sdk.getClientCount()).toBe(1);
  });
});

describe("a name that is taken", () => {
  const named = (claims: FramesClaims) => token({ user_id: undefined, ...claims });

  test("is 409 for whoever cannot prove to be the same; the holder stays", async () => {
    const node = await start({ settings: { auth } });
    const user = await FramesClient.connect(node.url, { token: TOKEN });
    const guest = await node.connect("guest");
    const bySub = await FramesClient.connect(node.url, {
      token: await named({ sub: "s" }),
      client_id: "by-sub",
    });
    const byToken = await FramesClient.connect(node.url, { token: await named({}), client_id: "by-token" });
    const newcomers: Record<string, string>[] = [
      { client_id: "u1" },
      { client_id: "u1", token: await named({ sub: "s" }) },
      { client_id: "guest" },
      { client_id: "guest", token: await named({ sub: "guest" }) },
      { token: await token({ user_id: "guest" }) },
      { token: await token({ user_id: "by-sub", sub: "by-sub" }) },
      { client_id: "by-sub", token: await named({ sub: "t" }) },
      { client_id: "by-token", token: await named({ username: "another token" }) },
      { client_id: "by-token" },
    ];
    for (const query of newcomers) expect([query, await status(node, query)]).toEqual([query, 409]);
    for (const client of [user, guest, bySub, byToken])
      expect((await client.settled()).ending).toBeUndefined();
  });

  test("is also nobody else's where no tokens are asked for", async () => {
    const node = await start();
    const first = await node.connect("a");
    expect(await status(node, { client_id: "a" })).toBe(409);
    await node.sdk.sendToClient("a", { data: "for the first" });
    expect((await first.settled()).frames).toEqual(["for the first"]);
    await first.close();
    await until("the name to be free", () => node.sdk.getClientCount() === 0);
    expect(await status(node, { client_id: "a" })).toBe(101);
  });

  test.each([
    ["the same user with a newer token", {}, { iat: inSeconds(-1) }],
    ["the same subject with a newer token", { user_id: undefined, sub: "s" }, { iat: inSeconds(-1) }],
    ["the same token, which names nobody", { user_id: undefined, exp: inSeconds(600) }, {}],
  ])("goes to %s: 4000 for the old connection", async (_, claims, newer) => {
    const node = await start({ settings: { auth: strict } });
    const connect = async (more: FramesClaims) =>
      FramesClient.connect(node.url, { client_id: "u1", token: await token({ ...claims, ...more }) });
    const old = await connect({});
    const next = await connect(newer);
    expect(await old.closed).toEqual({ code: 4000, reason: "replaced" });
    expect(node.sdk.getClientCount()).toBe(1);
    await node.sdk.sendToClient("u1", { data: "hello" });
    await next.until(({ frames }) => frames.includes("hello"));
  });

  test("is asked for: a holder that is dead loses it after its deadline, one that lives does not", async () => {
    const node = await start({ settings: { readTimeoutMs: 1_500 } });
    const dead = await rawPeer(node.url, { client_id: "dead" });
    dead.resume();
    const alive = await node.connect("alive");
    for (const client_id of ["dead", "alive"]) expect(await status(node, { client_id })).toBe(409);
    await until("the dead one to go", () => node.hub.find("dead") === undefined, 3_000);
    expect(node.hub.find("alive")).toBeDefined();
    expect(await status(node, { client_id: "dead" })).toBe(101);
    expect(alive.ending).toBeUndefined();
    dead.destroy();
  });
});

describe("the door", () => {
  test("a plain GET is 426, another method 405, half a handshake 400", async () => {
    const node = await start();
    const plain = await fetch(`${node.url}/ws`);
    expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
    expect((await fetch(`${node.url}/ws`, { method: "POST" })).status).toBe(405);
    expect(await status(node, {}, { "sec-websocket-key": "" })).toBe(400);
  });

  test("origins: this server's own and any that has a token, or those that are listed; what is no web page has none", async () => {
    const open = await start();
    const own = open.url;
    expect(await status(open, {}, { origin: own })).toBe(101);
    for (const origin of ["https://evil.example", "null", own.replace("127.0.0.1", "127.0.0.2"), `${own}0`])
      expect([origin, await status(open, {}, { origin })]).toEqual([origin, 403]);
    const everywhere = await start({ settings: { origins: ["*"] } });
    expect(await status(everywhere, {}, { origin: "https://evil.example" })).toBe(101);
    const tokens = await start({ settings: { auth } });
    expect(await status(tokens, { token: TOKEN }, { origin: "https://app.example" })).toBe(101);
    expect(await status(tokens, {}, { origin: "https://app.example" })).toBe(403);
    const listed = await start({ settings: { origins: ["https://app.example"] } });
    expect(await status(listed, {}, { origin: "https://app.example" })).toBe(101);
    expect(await status(listed, {}, { origin: "https://evil.example" })).toBe(403);
    expect(await status(listed, {}, { origin: listed.url })).toBe(101);
    expect(await status(listed, {})).toBe(101);
  });

  test("more clients than the limit are 503; a replacement is not one more", async () => {
    const node = await start({ settings: { maxClients: 1, auth } });
    const first = await FramesClient.connect(node.url, { token: TOKEN });
    expect(await status(node, { client_id: "b" })).toBe(503);
    await FramesClient.connect(node.url, { token: TOKEN });
    expect((await first.closed).code).toBe(4000);
  });
});
