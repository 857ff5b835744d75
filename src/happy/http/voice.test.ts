// Voice against services that behave like ElevenLabs and RevenueCat: every limit on both sides of its edge, every failure's own text.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Account, newAccount } from "../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import {
  ELEVEN_LABS_KEY,
  REVENUE_CAT_KEY,
  type VoiceServices,
  voiceServices,
} from "../../../test/support/voice.ts";
import { serverKeys } from "../auth/server-keys.ts";

let voice: VoiceServices;
let server: TestServer;
let account: Account;
beforeAll(async () => {
  voice = voiceServices();
  server = await testServer({
    happyElevenLabsUrl: `${voice.url}/`,
    happyElevenLabsApiKey: ELEVEN_LABS_KEY,
    happyRevenueCatUrl: voice.url,
    happyRevenueCatApiKey: REVENUE_CAT_KEY,
  });
  account = await newAccount(server.url);
});
afterAll(async () => {
  await server.stop();
  await voice.stop();
});
beforeEach(() => {
  voice.asked.length = 0;
  voice.broken.clear();
  voice.durations = [];
  voice.entitlements = {};
  voice.room = "room_conv_Abc123_x";
});

const ask = (path = "/v1/voice/conversations") => account.call("POST", path, { agentId: "agent_1" });
const elevenUserId = () => serverKeys(TEST_SECRET).voiceUser(account.id);
const days = (count: number) => new Date(Date.now() + count * 86_400_000).toISOString();

test("the voice id of an account is the contract's", () => {
  expect(serverKeys("compat-probe-0").voiceUser("legacy-node-user")).toBe(
    "u_mdkg-mphLrHTtnZiszWTJ4JXAbDcQ1AKdCGMc2ur0fg",
  );
});

test.each(["/v1/voice/conversations", "/v1/voice"])("POST %s grants a conversation", async (path) => {
  voice.durations = [600, null, 599];
  const { status, body } = await ask(path);
  expect(status).toBe(200);
  expect(body).toEqual({
    allowed: true,
    conversationToken: expect.stringContaining("."),
    conversationId: "conv_Abc123",
    agentId: "agent_1",
    elevenUserId: elevenUserId(),
    usedSeconds: 1199,
    limitSeconds: 1200,
  });
  const [usage, token, ...rest] = voice.asked;
  expect(rest).toEqual([]);
  const query = new URL(usage?.slice("GET ".length) ?? "", voice.url).searchParams;
  expect(usage).toStartWith("GET /v1/convai/conversations?");
  expect([query.get("user_id"), query.get("page_size")]).toEqual([elevenUserId(), "100"]);
  expect(Math.abs(Number(query.get("created_after")) * 1000 - (Date.now() - 30 * 86_400_000))).toBeLessThan(
    10_000,
  );
  expect(token).toBe(`GET /v1/convai/conversation/token?agent_id=agent_1&participant_name=${elevenUserId()}`);
});

describe("limits", () => {
  const cases = [
    {
      name: "the 100th conversation was the last",
      durations: Array(100).fill(1),
      reason: "voice_conversation_limit_reached",
      limit: 18_000,
    },
    { name: "18,000 s are the end", durations: [18_000], reason: "voice_hard_limit_reached", limit: 18_000 },
    { name: "1,200 s are free", durations: [1_200], reason: "subscription_required", limit: 1_200 },
    {
      name: "an expired entitlement is none",
      durations: [1_200],
      entitlements: { pro: { expires_date: days(-1) } },
      reason: "subscription_required",
      limit: 1_200,
    },
    {
      name: "a subscriber goes on",
      durations: [17_999],
      entitlements: { pro: { expires_date: days(1) } },
      reason: undefined,
      limit: 18_000,
    },
    {
      name: "a lifetime entitlement counts",
      durations: [1_200],
      entitlements: { pro: { expires_date: null } },
      reason: undefined,
      limit: 18_000,
    },
    {
      name: "a grace period counts",
      durations: [1_200],
      entitlements: { pro: { expires_date: days(-1), grace_period_expires_date: days(1) } },
      reason: undefined,
      limit: 18_000,
    },
    {
      name: "99 short conversations are fine",
      durations: Array(99).fill(1),
      reason: undefined,
      limit: 1_200,
    },
  ];
  for (const { name, durations, entitlements, reason, limit } of cases) {
    test(name, async () => {
      voice.durations = durations;
      voice.entitlements = entitlements ?? {};
      const usedSeconds = durations.reduce((sum, seconds) => sum + seconds, 0);
      const { status, body } = await ask();
      expect(status).toBe(200);
      if (reason === undefined) {
        expect(body).toMatchObject({ allowed: true, usedSeconds, limitSeconds: limit });
      } else {
        expect(body).toEqual({
          allowed: false,
          reason,
          usedSeconds,
          limitSeconds: limit,
          agentId: "agent_1",
        });
      }
      const asksRevenueCat = voice.asked.includes(`GET /v1/subscribers/${account.id}`);
      expect(asksRevenueCat).toBe(usedSeconds >= 1_200 && usedSeconds < 18_000 && durations.length < 100);
    });
  }
});

describe("failures", () => {
  test("a usage answer that is not 2xx counts as no usage", async () => {
    voice.durations = [18_000];
    voice.broken.set("/v1/convai/conversations", 500);
    expect((await ask()).body).toMatchObject({ allowed: true, usedSeconds: 0, limitSeconds: 1_200 });
    expect((await account.call("GET", "/v1/voice/usage")).body).toMatchObject({ usedSeconds: 0 });
  });

  test("RevenueCat refusing to say is no entitlement", async () => {
    voice.durations = [1_200];
    voice.entitlements = { pro: { expires_date: null } };
    voice.broken.set(`/v1/subscribers/${account.id}`, 503);
    expect((await ask()).body).toMatchObject({ allowed: false, reason: "subscription_required" });
  });

  test("no token, and a token without a conversation, have texts of their own", async () => {
    voice.room = "lobby";
    const nameless = await ask();
    expect([nameless.status, nameless.body]).toEqual([500, { error: "Failed to get conversation ID" }]);
    voice.broken.set("/v1/convai/conversation/token", 403);
    const refused = await ask();
    expect([refused.status, refused.body]).toEqual([500, { error: "Failed to get voice credentials" }]);
  });

  test("an unreachable ElevenLabs is the bare 500, and the usage's own text", async () => {
    const gone = voiceServices();
    await gone.stop();
    const lonely = await testServer({
      happyElevenLabsUrl: gone.url,
      happyElevenLabsApiKey: ELEVEN_LABS_KEY,
      happyRevenueCatApiKey: REVENUE_CAT_KEY,
    });
    const user = await newAccount(lonely.url);
    const asked = await user.call("POST", "/v1/voice/conversations", { agentId: "a" });
    expect([asked.status, asked.body]).toEqual([500, { error: "Internal Server Error" }]);
    const usage = await user.call("GET", "/v1/voice/usage");
    expect([usage.status, usage.body]).toEqual([500, { error: "Failed to get voice usage" }]);
    await lonely.stop();
  });

  test.each([
    [{}, "ELEVENLABS_API_KEY not configured", "ELEVENLABS_API_KEY not configured"],
    [{ happyElevenLabsApiKey: ELEVEN_LABS_KEY }, "REVENUECAT_API_KEY not configured", undefined],
  ])("without keys (%p) the answer says which one is missing", async (keys, conversation, usage) => {
    const bare = await testServer({ happyElevenLabsUrl: voice.url, ...keys });
    const user = await newAccount(bare.url);
    const asked = await user.call("POST", "/v1/voice/conversations", { agentId: "a" });
    expect([asked.status, asked.body]).toEqual([500, { error: conversation }]);
    const used = await user.call("GET", "/v1/voice/usage");
    expect([used.status, used.body.error]).toEqual([usage === undefined ? 200 : 500, usage]);
    await bare.stop();
  });

  test("the agent is required, and so is a token; the legacy route is gone", async () => {
    const empty = await account.call("POST", "/v1/voice/conversations", {});
    expect([empty.status, empty.body.message]).toEqual([
      400,
      "body/agentId Invalid input: expected string, received undefined",
    ]);
    for (const path of ["/v1/voice", "/v1/voice/conversations"]) {
      const response = await fetch(`${server.url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"agentId":"a"}',
      });
      expect([response.status, await response.json()]).toEqual([
        401,
        { error: "Missing authorization header" },
      ]);
    }
    expect((await account.call("POST", "/v1/voice/token", { agentId: "a" })).status).toBe(404);
    expect(voice.asked).toEqual([]);
  });
});

test("usage says what was used, of what, and as whom", async () => {
  voice.durations = [1_000, 200];
  const { status, body } = await account.call("GET", "/v1/voice/usage");
  expect([status, body]).toEqual([
    200,
    {
      usedSeconds: 1_200,
      limitSeconds: 18_000,
      conversationCount: 2,
      conversationLimit: 100,
      elevenUserId: elevenUserId(),
    },
  ]);
  voice.durations = [];
  expect((await account.call("GET", "/v1/voice/usage")).body).toMatchObject({
    usedSeconds: 0,
    limitSeconds: 1_200,
    conversationCount: 0,
  });
});
