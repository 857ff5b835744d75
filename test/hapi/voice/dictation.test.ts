// Dictation through a whole server: who may see and set keys and where they stand, a recording to each service, and services on bad days.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CredentialConfig,
  Credentials,
  type CredentialsChange,
} from "../../../src/hapi/voice/credentials.ts";
import { HapiDesk } from "../../support/hapi-desk.ts";
import { until } from "../../support/until.ts";
import { type BadDay, HUGE_ANSWER, KEYS, VoiceVendors } from "../../support/voice-vendors.ts";

let vendors: VoiceVendors;
let desk: HapiDesk;
beforeAll(async () => {
  vendors = new VoiceVendors();
  desk = await HapiDesk.open({ ...vendors.settings, hapiDeepgramKey: KEYS.deepgram });
});
afterAll(async () => {
  await desk.close();
  await vendors.stop();
});
afterEach(() => vendors.reset());

const CREDENTIALS = "/api/voice/transcription/credentials";
const settings = () => JSON.parse(readFileSync(join(desk.home, "settings.json"), "utf8"));
const set = (body: unknown) => desk.short("PUT", CREDENTIALS, body);
const NONE = { configured: false, source: "none", hint: null, editable: true };

async function everyKey(): Promise<void> {
  const own = { baseUrl: `${vendors.url}/own/v1/`, model: "whisper-x", apiKey: KEYS.own };
  const { openai, elevenlabs, groq } = KEYS;
  const [status] = await set({ openai, elevenlabs, groq, openaiCompatible: own });
  expect(status).toBe(200);
}

interface Dictated {
  readonly provider?: string | undefined;
  readonly file?: Blob | string | undefined;
  readonly name?: string;
  readonly language?: string;
  readonly as?: HapiDesk;
  readonly signal?: AbortSignal;
}

async function dictate({
  provider,
  file,
  name = "speech.webm",
  language,
  as = desk,
  signal,
}: Dictated): Promise<unknown> {
  const form = new FormData();
  if (provider !== undefined) form.append("provider", provider);
  if (language !== undefined) form.append("language", language);
  if (typeof file === "string") form.append("file", file);
  else if (file !== undefined) form.append("file", file, name);
  const encoded = new Response(form);
  const type = encoded.headers.get("content-type") ?? "";
  const answer = await as.post("/api/voice/transcription", await encoded.arrayBuffer(), type, signal);
  return [answer.status, answer.body ?? answer.text];
}
const SOUND = new Blob([new Uint8Array(3_000).fill(7)], { type: "audio/webm" });

test("the owner sees which keys there are, and no key; nobody else sees or sets any", async () => {
  const answer = await desk.ask("GET", CREDENTIALS);
  expect([answer.status, answer.headers.get("cache-control"), answer.body]).toEqual([
    200,
    "no-store",
    {
      openai: NONE,
      elevenlabs: NONE,
      deepgram: { configured: true, source: "env", hint: "••••0003", editable: false },
      groq: NONE,
      openaiCompatible: {
        configured: false,
        source: "none",
        baseUrl: null,
        model: null,
        baseUrlEditable: true,
        modelEditable: true,
        apiKey: NONE,
      },
      voiceBackends: { elevenlabs: NONE, geminiLive: NONE, qwenRealtime: NONE },
    },
  ]);
  const other = await desk.of("other");
  for (const [method, body] of [
    ["GET", undefined],
    ["PUT", "no JSON"],
    ["PUT", { openai: "stolen" }],
  ] as const)
    expect(await other.short(method, CREDENTIALS, body)).toEqual([
      403,
      { error: "Provider credentials are only available to the hub owner" },
    ]);
});

test("a key is set, kept beside what else the file says, survives a restart, and goes", async () => {
  const { cliApiToken } = settings();
  const path = join(desk.home, "settings.json");
  const [status, body] = await set({
    openai: ` ${KEYS.openai} `,
    geminiLive: "short",
    qwenRealtime: KEYS.qwen,
  });
  expect([status, body]).toMatchObject([
    200,
    {
      openai: { configured: true, source: "settings", hint: "••••0002", editable: true },
      voiceBackends: { geminiLive: { configured: true, hint: "••••" }, qwenRealtime: { hint: "••••0007" } },
    },
  ]);
  expect(JSON.stringify(body)).not.toContain(KEYS.openai);
  expect(settings()).toMatchObject({
    cliApiToken,
    providerCredentials: {
      OPENAI_API_KEY: KEYS.openai,
      GEMINI_API_KEY: "short",
      DASHSCOPE_API_KEY: KEYS.qwen,
    },
  });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await desk.short("GET", "/api/voice/backend")).toEqual([
    200,
    { backend: "gemini-live", backends: ["gemini-live", "qwen-realtime"] },
  ]);
  // Of a later release, and of a hand that slipped.
  const more = { ...settings().providerCredentials, LATER_KEY: "kept", GROQ_API_KEY: 5 };
  writeFileSync(path, JSON.stringify({ ...settings(), providerCredentials: more }));
  const afterStart = new Credentials(desk.home, desk.server.config);
  expect(afterStart.value("OPENAI_API_KEY")).toBe(KEYS.openai);
  expect(afterStart.value("GROQ_API_KEY")).toBeUndefined();
  expect(await set({ openai: null, geminiLive: "", qwenRealtime: "  " })).toMatchObject([
    200,
    { openai: NONE, groq: NONE, voiceBackends: { geminiLive: NONE, qwenRealtime: NONE } },
  ]);
  expect(settings().providerCredentials).toEqual({ LATER_KEY: "kept", GROQ_API_KEY: 5 });
});

test("a key of one's own service goes to the address that it was set with, and to no other one", async () => {
  const home = mkdtempSync(join(tmpdir(), "roost-credentials-"));
  try {
    const given = { hapiTranscriptionKey: KEYS.own } as CredentialConfig;
    const url = "https://own.example/v1";
    // Of the configuration: only with the address of the configuration.
    const alone = new Credentials(home, given);
    await alone.change({ openaiCompatible: { baseUrl: "https://thief.example/v1", model: "m" } });
    expect([alone.value("TRANSCRIPTION_API_KEY"), alone.isKeyWithoutAddress]).toEqual([undefined, true]);
    expect(alone.view().openaiCompatible.apiKey).toMatchObject({ configured: false, editable: true });
    await alone.change({ openaiCompatible: { baseUrl: null } });
    const both = new Credentials(home, { ...given, hapiTranscriptionUrl: url });
    expect([both.value("TRANSCRIPTION_API_KEY"), both.isKeyWithoutAddress]).toEqual([KEYS.own, false]);
    for (const change of [{ baseUrl: "https://thief.example" }, { apiKey: "x" }])
      expect(both.change({ openaiCompatible: change })).rejects.toThrow("is set by an environment variable");
    // Of the app: it goes with its address.
    const owners = new Credentials(home, {} as CredentialConfig);
    const key = () => owners.value("TRANSCRIPTION_API_KEY");
    const moves = async (openaiCompatible: NonNullable<CredentialsChange["openaiCompatible"]>) => {
      await owners.change({ openaiCompatible: { baseUrl: url, apiKey: KEYS.own } });
      await owners.change({ openaiCompatible });
      return key();
    };
    expect(await moves({ baseUrl: "https://own.example/v2", model: "n" })).toBe(KEYS.own);
    expect(await moves({ model: "n" })).toBe(KEYS.own);
    expect(await moves({ baseUrl: "https://own.example.thief.example/v1" })).toBeUndefined();
    expect(await moves({ baseUrl: "http://own.example/v1" })).toBeUndefined();
    expect(await moves({ baseUrl: null })).toBeUndefined();
    expect(await moves({ baseUrl: "https://other.example", apiKey: "another" })).toBe("another");
    // Without an address it is nobody's, and not the first one's that comes.
    const file = join(home, "settings.json");
    const keep = (providerCredentials: object) =>
      writeFileSync(file, JSON.stringify({ providerCredentials }));
    keep({ TRANSCRIPTION_API_KEY: KEYS.own, TRANSCRIPTION_MODEL: "m" });
    const keyless = new Credentials(home, {} as CredentialConfig);
    expect(keyless.view().openaiCompatible.apiKey).toMatchObject({ configured: false, editable: true });
    await keyless.change({ openaiCompatible: { baseUrl: "https://thief.example/v1" } });
    expect(keyless.value("TRANSCRIPTION_API_KEY")).toBeUndefined();
    expect(readFileSync(file, "utf8")).not.toContain(KEYS.own);
    // But of the one that the server was given, which nobody changes in the app; not when it was another one's.
    const served = { hapiTranscriptionUrl: url } as CredentialConfig;
    keep({ TRANSCRIPTION_API_KEY: KEYS.own });
    expect(new Credentials(home, served).value("TRANSCRIPTION_API_KEY")).toBe(KEYS.own);
    keep({ TRANSCRIPTION_API_KEY: KEYS.own, TRANSCRIPTION_BASE_URL: "https://own.example/v9" });
    expect(new Credentials(home, served).value("TRANSCRIPTION_API_KEY")).toBe(KEYS.own);
    keep({ TRANSCRIPTION_API_KEY: KEYS.own, TRANSCRIPTION_BASE_URL: "https://former.example/v1" });
    const moved = new Credentials(home, served);
    expect(moved.value("TRANSCRIPTION_API_KEY")).toBeUndefined();
    await moved.change({ openaiCompatible: { apiKey: "for this one" } });
    expect(moved.value("TRANSCRIPTION_API_KEY")).toBe("for this one");
    expect(new Credentials(home, served).value("TRANSCRIPTION_API_KEY")).toBe("for this one");
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

test("an address of one's own may have a query, which stands behind the path", async () => {
  const own = { baseUrl: `${vendors.url}/own/v1/?api-version=2`, model: "whisper-x", apiKey: KEYS.own };
  await set({ openaiCompatible: own });
  expect(await dictate({ provider: "openai-compatible", file: SOUND })).toMatchObject([200, {}]);
  expect(vendors.asked.map(({ path, query }) => [path, query])).toEqual([
    ["/own/v1/audio/transcriptions", { "api-version": "2" }],
  ]);
  await set({ openaiCompatible: { baseUrl: null, model: null, apiKey: null } });
});

test.each([
  ["nothing", {}],
  ["no object", []],
  ["no JSON", "{"],
  ["an unknown name", { openai: "x", bogus: "y" }],
  ["a key that is no text", { openai: { apiKey: "x" } }],
  ["a key that is longer than any", { openai: "x".repeat(2_000) }],
  ["no service of one's own", { openaiCompatible: null }],
  ["an address that is none", { openaiCompatible: { baseUrl: "nonsense" } }],
  ["an address of another kind", { openaiCompatible: { baseUrl: "file:///etc/passwd" } }],
])("%s is no change of keys", async (_, body) => {
  expect(await set(body)).toEqual([400, { error: "Invalid transcription credentials payload" }]);
});

test("a key that the server was given is not changed, and with it nothing of the same change", async () => {
  expect(await set({ deepgram: "mine", groq: "mine" })).toEqual([
    409,
    { error: "DEEPGRAM_API_KEY is set by an environment variable and cannot be changed from Settings" },
  ]);
  expect(settings().providerCredentials ?? {}).not.toHaveProperty("GROQ_API_KEY", "mine");
});

test("each service is sent the recording as it wants it", async () => {
  await everyKey();
  expect(await desk.short("GET", "/api/voice/transcription/providers")).toEqual([
    200,
    {
      providers: [
        { id: "openai", label: "OpenAI", modes: ["standard", "realtime"] },
        { id: "elevenlabs", label: "ElevenLabs", modes: ["standard", "realtime"] },
        { id: "deepgram", label: "Deepgram", modes: ["standard", "realtime"] },
        { id: "groq", label: "Groq", modes: ["standard"] },
        { id: "openai-compatible", label: "OpenAI-compatible / local", modes: ["standard"] },
      ],
    },
  ]);
  const other = await desk.of("other");
  const texts: unknown[] = [];
  for (const provider of ["openai", "elevenlabs", "deepgram", "groq", "openai-compatible"])
    texts.push(await dictate({ provider, file: SOUND, language: "de-DE", as: other }));
  expect(texts).toEqual([
    [200, { text: "heard at /v1/audio/transcriptions" }],
    [200, { text: "heard", language: "eng" }],
    [200, { text: "listened" }],
    [200, { text: "heard at /openai/v1/audio/transcriptions" }],
    [200, { text: "heard at /own/v1/audio/transcriptions" }],
  ]);
  const file = ["file", "speech.webm", 3_000];
  expect(vendors.asked.map(({ path, query, body }) => [path, query, body])).toEqual([
    ["/v1/audio/transcriptions", {}, [file, ["model", "gpt-transcribe"], ["languages[]", "de"]]],
    ["/v1/speech-to-text", {}, [file, ["model_id", "scribe_v2"], ["language_code", "de"]]],
    [
      "/v1/listen",
      { model: "nova-3", smart_format: "true", language: "de" },
      { type: "audio/webm", bytes: 3_000 },
    ],
    ["/openai/v1/audio/transcriptions", {}, [file, ["model", "whisper-large-v3"], ["language", "de"]]],
    ["/own/v1/audio/transcriptions", {}, [file, ["model", "whisper-x"], ["language", "de"]]],
  ]);
});

test("a recording of several megabytes arrives whole, and a nameless one gets a name", async () => {
  await everyKey();
  const file = new Blob([crypto.getRandomValues(new Uint8Array(65_536)), new Uint8Array(6_000_000)]);
  expect(await dictate({ provider: "openai", file, name: "" })).toMatchObject([200, {}]);
  expect(vendors.asked[0]?.body).toEqual([
    ["file", "speech.webm", 6_065_536],
    ["model", "gpt-transcribe"],
  ]);
});

test("what is no recording is refused in the original's order", async () => {
  const { status, body } = await desk.ask("POST", "/api/voice/transcription", { a: 1 });
  expect([status, body]).toEqual([400, { error: "Invalid form data" }]);
  const no = (error: string) => [400, { error }];
  const empty = new Blob([]);
  const sizes = no("Audio file must be between 1 byte and 26214400 bytes");
  expect([
    await dictate({}),
    await dictate({ provider: "none", language: "auto", file: empty }),
    await dictate({ provider: "groq", language: "auto" }),
    await dictate({ provider: "groq", file: "a text" }),
    await dictate({ provider: "groq", file: empty, language: "auto" }),
    await dictate({ provider: "groq", file: empty, language: "de" }),
    await dictate({ provider: "groq", file: new Blob([new Uint8Array(25 * 1024 * 1024 + 1)]) }),
    await dictate({ provider: "groq", file: new Blob([new Uint8Array(26 * 1024 * 1024)]) }),
  ]).toEqual([
    no("Invalid transcription provider"),
    no("Invalid transcription provider"),
    no("Missing audio file"),
    no("Missing audio file"),
    no("Invalid transcription language"),
    sizes,
    sizes,
    sizes,
  ]);
  await set({ groq: null });
  expect(await dictate({ provider: "groq", file: SOUND })).toEqual(
    no("groq transcription is not configured"),
  );
  expect(vendors.asked).toEqual([]);
});

const failed = (words: string) => [502, { error: `openai ${words}` }];
test.each<[string, BadDay, string, string]>([
  ["is asked too much", { status: 429 }, "transcription failed (HTTP 429)", "token failed (HTTP 429)"],
  ["does not know the key", { status: 401 }, "transcription failed (HTTP 401)", "token failed (HTTP 401)"],
  ["is broken", { status: 500 }, "transcription failed (HTTP 500)", "token failed (HTTP 500)"],
  ["answers too much", HUGE_ANSWER, "transcription request failed", "token request failed"],
  ["answers nonsense", { body: "<html>" }, "transcription request failed", "token request failed"],
])("a service that %s is said to a person, without a key", async (_, day, recorded, token) => {
  await everyKey();
  vendors.bad.set("/v1/audio/transcriptions", day);
  vendors.bad.set("/v1/realtime/client_secrets", day);
  expect(await dictate({ provider: "openai", file: SOUND })).toEqual(failed(recorded) as never);
  expect(await desk.short("POST", "/api/voice/transcription/realtime-token", { provider: "openai" })).toEqual(
    failed(`realtime transcription ${token}`) as never,
  );
});

test("a service that is not there, or goes in the middle of its answer, is said too", async () => {
  const failed = [502, { error: "openai-compatible transcription request failed" }] as const;
  for (const baseUrl of [vendors.droppingUrl, "http://127.0.0.1:1/v1"]) {
    await set({ openaiCompatible: { baseUrl, model: "m", apiKey: KEYS.own } });
    expect(await dictate({ provider: "openai-compatible", file: SOUND })).toEqual(failed);
  }
});

test("a token for a service that a page speaks to by itself", async () => {
  await everyKey();
  const ask = (body: unknown) => desk.short("POST", "/api/voice/transcription/realtime-token", body);
  expect([
    await ask({ provider: "openai", language: "de-DE" }),
    await ask({ provider: "elevenlabs" }),
    await ask({ provider: "deepgram", language: "" }),
  ]).toEqual([
    [200, { token: "ek_1" }],
    [200, { token: "sut_1" }],
    [200, { token: "grant_1" }],
  ]);
  expect(vendors.asked[0]?.body).toMatchObject({
    expires_after: { anchor: "created_at", seconds: 60 },
    session: { audio: { input: { transcription: { model: "gpt-live-transcribe", languages: ["de"] } } } },
  });
  for (const body of [{ provider: "groq" }, { provider: "none" }, { provider: 5 }, {}, "no JSON"])
    expect(await ask(body)).toEqual([400, { error: "Invalid realtime transcription provider" }]);
  expect(await ask({ provider: "openai", language: "auto" })).toEqual([
    400,
    { error: "Invalid transcription language" },
  ]);
  vendors.bad.set("/v1/realtime/client_secrets", { body: "{}" });
  expect(await ask({ provider: "openai" })).toEqual(
    failed("realtime transcription returned no token") as never,
  );
  await set({ openai: null });
  expect(await ask({ provider: "openai" })).toEqual([
    400,
    { error: "openai transcription is not configured" },
  ]);
});

test("a namespace has so many recordings under way; one more is asked to come again, and nobody else", async () => {
  await everyKey();
  vendors.bad.set("/v1/audio/transcriptions", { silent: true });
  const stuck = Array.from({ length: 4 }, () => {
    const abort = new AbortController();
    return { abort, sent: stuckRecording(abort.signal) };
  });
  while (vendors.asked.length < 4) await Bun.sleep(5);
  expect(await dictate({ provider: "groq", file: SOUND })).toEqual([
    503,
    { error: "Too many recordings at once" },
  ]);
  expect(await dictate({ provider: "groq", file: SOUND, as: await desk.of("other") })).toMatchObject([
    200,
    {},
  ]);
  for (const { abort, sent } of stuck) {
    abort.abort();
    await sent;
  }
  // Who goes away does not keep a place, nor the service at work.
  await until("the places to be free", async () => {
    const [status] = (await dictate({ provider: "groq", file: SOUND })) as [number];
    return status === 200;
  });
});

test("recordings that come slowly hold nobody's place", async () => {
  await everyKey();
  const address = new URL(desk.server.url);
  const slow = await Promise.all(
    ["slow-a", "slow-b"].flatMap((namespace) =>
      Array.from({ length: 4 }, async () => {
        const { login } = await desk.of(namespace);
        const socket = connect(Number(address.port), address.hostname);
        socket.on("error", () => {});
        const head = `POST /api/voice/transcription HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${login}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 5000\r\n\r\n--b\r\n`;
        await new Promise<void>((resolve) => socket.write(head, () => resolve()));
        return socket;
      }),
    ),
  );
  try {
    // By then the server has begun with those that came before.
    for (let n = 0; n < 20; n++) await desk.short("GET", "/api/voice/backend");
    expect(await dictate({ provider: "groq", file: SOUND })).toMatchObject([200, {}]);
    expect(await dictate({ provider: "groq", file: SOUND, as: await desk.of("slow-a") })).toMatchObject([
      200,
      {},
    ]);
  } finally {
    for (const socket of slow) socket.destroy();
  }
});

test("a type that no header can carry is no type", async () => {
  const form = (type: string) =>
    `--b\r\ncontent-disposition: form-data; name="provider"\r\n\r\ndeepgram\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\ncontent-type: ${type}\r\n\r\nsound\r\n--b--\r\n`;
  for (const type of ["audio/wébm", "audio/webm\nx: y", "audio/\0", `audio/${"x".repeat(1_000)}`]) {
    const bytes = new Uint8Array(Buffer.from(form(type)));
    const { status } = await desk.post(
      "/api/voice/transcription",
      bytes.buffer as ArrayBuffer,
      "multipart/form-data; boundary=b",
    );
    expect(status).toBe(200);
    expect(vendors.asked.at(-1)?.body).toEqual({ type: "audio/webm", bytes: 5 });
  }
});

async function stuckRecording(signal: AbortSignal): Promise<void> {
  await dictate({ provider: "openai", file: SOUND, signal }).catch(() => {});
}
