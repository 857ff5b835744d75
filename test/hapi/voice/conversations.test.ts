// Conversations by voice through a whole server: what a page is told of the services, ElevenLabs' agent and token, and the sockets to Gemini
// and Qwen, which carry the owner's key and let a page change nothing that it is used for.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { HapiDesk } from "../../support/hapi-desk.ts";
import { until } from "../../support/until.ts";
import { HUGE_ANSWER, KEYS, type Talk, VoiceVendors } from "../../support/voice-vendors.ts";

let vendors: VoiceVendors;
let desk: HapiDesk;
let pages: Page[] = [];
beforeAll(async () => {
  vendors = new VoiceVendors();
  desk = await HapiDesk.open({
    ...vendors.settings,
    hapiElevenlabsKey: KEYS.elevenlabs,
    hapiGeminiKey: KEYS.gemini,
    hapiQwenKey: KEYS.qwen,
    hapiVoiceBackend: "qwen-realtime",
  });
});
afterAll(async () => {
  await desk.close();
  await vendors.stop();
});
afterEach(async () => {
  for (const page of pages) page.socket.close();
  await until("every conversation to be over", () =>
    vendors.talks.every(({ closed }) => closed !== undefined),
  );
  pages = [];
  vendors.reset();
});

interface Page {
  readonly socket: WebSocket;
  readonly heard: (string | number)[];
  readonly closed: Promise<readonly [number, string]>;
}

function page(path: string, query = "", token = desk.login): Page {
  const address = `${desk.server.url.replace("http", "ws")}/api/voice/${path}?token=${token}${query}`;
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  const heard: Page["heard"] = [];
  socket.onmessage = ({ data }) => heard.push(typeof data === "string" ? data : data.byteLength);
  const closed = new Promise<readonly [number, string]>((resolve) => {
    socket.onclose = ({ code, reason }) => resolve([code, reason]);
  });
  const opened: Page = { socket, heard, closed };
  pages.push(opened);
  return opened;
}

async function talk(of: Page): Promise<Talk> {
  await until("the conversation to begin", () => of.heard.length > 0 && vendors.talks.length > 0);
  const [found] = vendors.talks;
  if (found === undefined) throw new Error("no conversation");
  return found;
}
const opened = (of: Page) => until("the page to be let in", () => of.socket.readyState === WebSocket.OPEN);
const say = (of: Page, ...messages: unknown[]) => {
  for (const message of messages) of.socket.send(JSON.stringify(message));
};
const token = (body?: unknown) => desk.short("POST", "/api/voice/token", body);

test("a page is told which services there are, and where their sockets are, but no key", async () => {
  expect(await desk.short("GET", "/api/voice/backend")).toEqual([
    200,
    { backend: "qwen-realtime", backends: ["elevenlabs", "gemini-live", "qwen-realtime"] },
  ]);
  const socket = `${desk.server.url.replace("http", "ws")}/api/voice`;
  const other = await desk.of("other");
  expect([
    await other.short("POST", "/api/voice/gemini-token"),
    await other.short("POST", "/api/voice/qwen-token"),
  ]).toEqual([
    [200, { allowed: true, apiKey: "proxied", wsUrl: `${socket}/gemini-ws` }],
    [200, { allowed: true, wsUrl: `${socket}/qwen-ws` }],
  ]);
  const voices = [
    { id: "v1", name: "Anna", previewUrl: "https://p.example/1.mp3", category: "premade" },
    { id: "v2", name: "Ben" },
  ];
  expect(await desk.short("GET", "/api/voice/voices")).toEqual([200, { voices }]);
  for (const day of [{ status: 500 }, { body: "<html>" }, HUGE_ANSWER]) {
    vendors.bad.set("/v1/voices", day);
    expect(await desk.short("GET", "/api/voice/voices")).toEqual([200, { voices: [] }]);
  }
});

test("the account's own agent is made once, however many ask at the same moment", async () => {
  const granted = [200, { allowed: true, token: "conversation", agentId: "made" }] as const;
  expect(await Promise.all([token(), token("no JSON"), token({ customAgentId: " " })])).toEqual([
    granted as never,
    granted as never,
    granted as never,
  ]);
  expect(await token({ voiceId: "v1" })).toEqual(granted as never);
  const [plain, voiced, ...more] = vendors.of("/v1/convai/agents/create").map(({ body }) => body);
  expect(more).toEqual([]);
  expect([plain, voiced]).toMatchObject([
    {
      name: "Hapi Voice Assistant",
      conversation_config: {
        agent: {
          prompt: { tools: [{ name: "messageCodingAgent" }, { name: "processPermissionRequest" }] },
        },
      },
    },
    { name: "Hapi Voice Assistant [voice:v1]", conversation_config: { tts: { voice_id: "v1" } } },
  ]);
});

test("an agent that is there is taken and opened to the page's wishes; a named one too, also when that fails", async () => {
  vendors.agents = [
    { agent_id: "another", name: "Another" },
    { agent_id: "found", name: "Hapi Voice Assistant [voice:v2]" },
  ];
  expect(await token({ voiceId: "v2" })).toMatchObject([200, { agentId: "found" }]);
  vendors.bad.set("/v1/convai/agents/mine", { status: 403 });
  expect(await token({ customAgentId: "mine" })).toMatchObject([200, { agentId: "mine" }]);
  expect(vendors.asked.filter(({ method }) => method === "PATCH").map(({ path }) => path)).toEqual([
    "/v1/convai/agents/found",
    "/v1/convai/agents/mine",
  ]);
  expect(vendors.of("/v1/convai/conversation/token").map(({ query }) => query.agent_id)).toEqual([
    "found",
    "mine",
  ]);
});

test("what ElevenLabs refuses is said in its words, what it does not say in ours, and never the key", async () => {
  const denied = (error: string) => [500, { allowed: false, error }];
  const ask = async (status: number, body: string) => {
    vendors.bad.set("/v1/convai/conversation/token", { status, body });
    return await token({ customAgentId: "mine" });
  };
  expect([
    await ask(401, JSON.stringify({ detail: { message: `bad key ${KEYS.elevenlabs}` } })),
    await ask(429, JSON.stringify({ detail: "slow down" })),
    await ask(500, "oops"),
    await ask(200, "{}"),
    await ask(200, "<html>"),
  ]).toEqual([
    denied("bad key …"),
    denied("ElevenLabs API error: 429"),
    denied("ElevenLabs API error: 500"),
    denied("ElevenLabs did not answer as it should"),
    denied("ElevenLabs did not answer as it should"),
  ] as never);
  vendors.bad.clear();
  expect(await token({ customApiKey: "another key" })).toEqual(denied("bad key") as never);
  // What failed is asked again, and made when the account is well.
  vendors.bad.set("/v1/convai/agents/create", { status: 422 });
  expect(await token({ voiceId: "v9" })).toEqual(
    denied("Failed to create ElevenLabs agent automatically") as never,
  );
  vendors.bad.clear();
  expect(await token({ voiceId: "v9" })).toMatchObject([200, { agentId: "made" }]);
  for (const body of [[], { customAgentId: 5 }, { customApiKey: "x".repeat(1_000) }])
    expect(await token(body)).toEqual([400, { allowed: false, error: "Invalid request body" }]);
});

test("a page reports on its voice", async () => {
  const report = (body: unknown) => desk.short("POST", "/api/voice/telemetry", body);
  expect(await report({ stage: "connect", message: "ok", details: { a: 1 }, sessionId: "s" })).toEqual([
    200,
    { ok: true },
  ]);
  for (const body of [{}, "no JSON", { stage: "", message: "x" }, { stage: "x", message: "y", details: "z" }])
    expect(await report(body)).toEqual([400, { ok: false, error: "Invalid telemetry payload" }]);
});

test("Gemini: our opening comes first, then what the page said meanwhile, and both ways from then on", async () => {
  const one = page("gemini-ws", "&voice=Puck&language=de");
  await opened(one);
  say(one, { realtimeInput: { audio: { data: "AAAA" } } }, { clientContent: { turns: [] } });
  const gemini = await talk(one);
  expect(gemini.query).toEqual({ key: KEYS.gemini });
  await until("what was said to arrive", () => gemini.heard.length === 3);
  expect(gemini.heard[0]).toMatchObject({
    setup: {
      generationConfig: { speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: "Puck" } } } },
      systemInstruction: { parts: [{ text: expect.stringContaining('the code "de"') }] },
      tools: [
        { functionDeclarations: [{ name: "messageCodingAgent" }, { name: "processPermissionRequest" }] },
      ],
    },
  });
  expect(gemini.heard.slice(1)).toEqual([
    { realtimeInput: { audio: { data: "AAAA" } } },
    { clientContent: { turns: [] } },
  ]);
  gemini.send('{"serverContent":{}}');
  await until("the answer", () => one.heard.length === 2);
  // Gemini's first was a binary frame, and is one here.
  expect(one.heard).toEqual([20, '{"serverContent":{}}']);
  one.socket.close(1000);
  await until("the service to be told", () => gemini.closed === 1000);
});

test.each<[string, string | Uint8Array<ArrayBuffer>, string]>([
  ["a setup of its own", '{"setup":{}}', "Client-provided Gemini setup is not allowed"],
  ["one in disguise", '{"a":1,"\\u0073etup":{}}', "Client-provided Gemini setup is not allowed"],
  [
    "one in a binary frame",
    new Uint8Array(Buffer.from('{"setup":1}')),
    "Client-provided Gemini setup is not allowed",
  ],
  ["what is no JSON", "hello", "Messages must be JSON objects"],
  ["what is no object", "[]", "Messages must be JSON objects"],
  ["what is too deep", `{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, "Messages must be JSON objects"],
])("a page that says %s to Gemini is closed, and the service never hears it", async (_, message, reason) => {
  const one = page("gemini-ws");
  const gemini = await talk(one);
  one.socket.send(message);
  expect(await one.closed).toEqual([1008, reason]);
  await until("the service to be left", () => gemini.closed !== undefined);
  expect(gemini.heard).toHaveLength(1);
});

test("a service hears what was looked at: a name that comes twice comes once", async () => {
  const one = page("qwen-ws");
  const qwen = await talk(one);
  await until("the opening", () => one.heard.length === 2);
  const twice =
    '{"type":"session.update","session":{"tools":[],"instructions":"x"},"type":"response.create"}';
  one.socket.send(twice);
  one.socket.send(new Uint8Array(Buffer.from(twice)));
  one.socket.send('{"type":"session.update","session":{"voice":"v"},"session":{"instructions":"y"}}');
  await until("all to arrive", () => qwen.raw.length === 4);
  const plain = '{"type":"response.create","session":{"tools":[],"instructions":"x"}}';
  expect(qwen.raw.slice(1)).toEqual([
    plain,
    plain,
    '{"type":"session.update","session":{"instructions":"y"}}',
  ]);
});

test("Qwen: a page may change what is said, and nothing else of the conversation", async () => {
  const one = page("qwen-ws", "&voice=Cherry");
  const qwen = await talk(one);
  expect(qwen.query).toEqual({ model: "qwen3.5-omni-flash-realtime" });
  await until("the opening", () => one.heard.length === 2);
  expect(qwen.heard).toMatchObject([{ type: "session.update", session: { voice: "Cherry" } }]);
  const instructions = { type: "session.update", session: { instructions: "be short" } };
  say(one, instructions, { type: "input_audio_buffer.append", audio: "AAAA" });
  await until("both to arrive", () => qwen.heard.length === 3);
  expect(qwen.heard[1]).toEqual(instructions);
  say(one, { type: "session.update", session: { instructions: "x", tools: [] } });
  expect(await one.closed).toEqual([1008, "Client session.update may only modify instructions"]);
});

test("the page is told why a service leaves, without the key", async () => {
  const one = page("gemini-ws");
  (await talk(one)).close(4321, `no more for ${KEYS.gemini}`);
  expect(await one.closed).toEqual([4321, "no more for …"]);
  vendors.talks.length = 0;
  vendors.bad.set("/gemini", {});
  const two = page("gemini-ws");
  const [code, reason] = await two.closed;
  expect(code).toBe(1011);
  expect(reason).not.toContain(KEYS.gemini);
});

test("a page that floods a service that is not ready is closed", async () => {
  vendors.deaf = true;
  const one = page("gemini-ws");
  await opened(one);
  for (let n = 0; n < 10; n++) say(one, { text: "x".repeat(100_000) });
  expect(await one.closed).toEqual([1009, "Gemini is not ready for so much"]);
});

test("a service that says too much at once costs its own conversation only", async () => {
  const [one, two] = [page("qwen-ws"), page("qwen-ws")];
  await until("both to begin", () => vendors.talks.length === 2 && one.heard.length + two.heard.length === 4);
  vendors.talks[0]?.send(JSON.stringify({ text: "x".repeat(5 * 1024 * 1024) }));
  const first = await Promise.race([
    one.closed.then((end) => ({ end, left: two })),
    two.closed.then((end) => ({ end, left: one })),
  ]);
  expect(first.end).toEqual([1011, "DashScope sent too much at once"]);
  vendors.talks[1]?.send('{"type":"still here"}');
  await until("the other to go on", () => first.left.heard.includes('{"type":"still here"}'));
});

test("who may not speak is refused before a socket is made", async () => {
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${desk.server.url}/api/voice/${path}`, { headers });
    return [answer.status, await answer.text()];
  };
  const login = desk.login;
  expect([
    await get("gemini-ws"),
    await get("qwen-ws?token=bad"),
    await get(`qwen-ws?token=${login}`),
    await get(`qwen-ws?token=${login}&voice=${encodeURIComponent('"x"')}`),
    await get(`qwen-ws?token=${login}&language=auto`),
    await get("qwen-ws", { authorization: `Bearer ${login}` }),
  ]).toEqual([
    [401, "Missing authorization token"],
    [401, "Invalid token"],
    [426, "WebSocket upgrade failed"],
    [400, "Invalid voice or language"],
    [400, "Invalid voice or language"],
    [426, "WebSocket upgrade failed"],
  ]);
});

test("a namespace has so many conversations; one more is refused, and another namespace is not", async () => {
  const own = Array.from({ length: 8 }, () => page("qwen-ws"));
  await until("all to be open", () => own.every(({ socket }) => socket.readyState === WebSocket.OPEN));
  expect((await page("qwen-ws").closed)[0]).toBe(1006);
  const other = await desk.of("other");
  await opened(page("qwen-ws", "", other.login));
  own[0]?.socket.close();
  await until("a place to be free", async () => {
    const again = page("qwen-ws");
    await Promise.race([opened(again).catch(() => {}), again.closed]);
    return again.socket.readyState === WebSocket.OPEN;
  });
});

test("a key that no request can carry is said to the page, and costs no place", async () => {
  const odd = await HapiDesk.open({ ...vendors.settings, hapiQwenKey: "ключ" });
  try {
    for (let n = 0; n < 9; n++) {
      const socket = new WebSocket(
        `${odd.server.url.replace("http", "ws")}/api/voice/qwen-ws?token=${odd.login}`,
      );
      const closed = await new Promise((resolve) => {
        socket.onclose = ({ code, reason }) => resolve([code, reason]);
      });
      expect(closed).toEqual([1011, "DashScope cannot be asked with the key or the address that are set"]);
    }
  } finally {
    await odd.close();
  }
});

test("an agent that was deleted at ElevenLabs is looked up again, once", async () => {
  vendors.agents = [{ agent_id: "first", name: "Hapi Voice Assistant [voice:deleted]" }];
  const ask = () => token({ voiceId: "deleted" });
  expect(await ask()).toMatchObject([200, { agentId: "first" }]);
  vendors.deleted.add("first");
  vendors.agents = [];
  expect(await ask()).toEqual([200, { allowed: true, token: "conversation", agentId: "made" }]);
  expect(await ask()).toMatchObject([200, { agentId: "made" }]);
  vendors.deleted.add("made");
  const asked = vendors.of("/v1/convai/conversation/token").length;
  expect(await ask()).toEqual([500, { allowed: false, error: "no such agent" }]);
  expect(vendors.of("/v1/convai/conversation/token").length).toBe(asked + 2);
  expect(await token({ customAgentId: "made" })).toEqual([500, { allowed: false, error: "no such agent" }]);
});

test("a name of an agent is no way to another address under the owner's key", async () => {
  for (const customAgentId of ["..", "."])
    expect(await token({ customAgentId })).toEqual([400, { allowed: false, error: "Invalid request body" }]);
  expect(vendors.asked).toEqual([]);
});

test("without keys every route says which is missing", async () => {
  const without = await HapiDesk.open();
  try {
    const no = (error: string) => [400, { allowed: false, error }];
    expect([
      await without.short("GET", "/api/voice/backend"),
      await without.short("GET", "/api/voice/voices"),
      await without.short("POST", "/api/voice/token"),
      await without.short("POST", "/api/voice/gemini-token"),
      await without.short("POST", "/api/voice/qwen-token"),
      await without.short("GET", `/api/voice/gemini-ws?token=${without.login}`),
    ]).toEqual([
      [200, { backend: null, backends: [] }],
      [200, { voices: [] }],
      no("ElevenLabs API key not configured"),
      no("Gemini API key not configured (set GEMINI_API_KEY or GOOGLE_API_KEY)"),
      no("DashScope API key not configured (set DASHSCOPE_API_KEY or QWEN_API_KEY)"),
      [400, "Gemini API key not configured"],
    ] as never);
  } finally {
    await without.close();
  }
});

test("a server that stops closes pages, and leaves the service", async () => {
  const stopping = await HapiDesk.open({ ...vendors.settings, hapiQwenKey: KEYS.qwen });
  const address = `${stopping.server.url.replace("http", "ws")}/api/voice/qwen-ws?token=${stopping.login}`;
  const socket = new WebSocket(address);
  const closed = new Promise<number>((resolve) => {
    socket.onclose = ({ code }) => resolve(code);
  });
  await until("the conversation to begin", () => vendors.talks[0]?.heard.length === 1);
  await stopping.close();
  expect(await closed).toBe(1001);
  await until("the service to be left", () => vendors.talks[0]?.closed !== undefined);
});
