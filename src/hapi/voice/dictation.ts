// GET /api/voice/transcription/providers, GET and PUT /credentials, POST /api/voice/transcription and /realtime-token (HTTP contract, C5;
// hapi-probed, voice): a recording goes to a service and comes back as text. The owner alone sees and sets keys.
import { type Context, Hono } from "hono";
import { z } from "zod";
import { formParts } from "../../http/multipart.ts";
import { BodyRefused, bodyRefused, isLarge, type RawBody } from "../../http/request-body.ts";
import { later } from "../../http/retry-after.ts";
import { releaseMemory } from "../../limits/release-memory.ts";
import type { HapiContext } from "../context.ts";
import { bodyOf, MAX_RECORDING_BYTES } from "../http/kit/body.ts";
import type { ApiEnv } from "../http/kit/env.ts";
import { Refused } from "../http/kit/failure.ts";
import { LANGUAGE } from "./assistant.ts";
import { AtOnce } from "./at-once.ts";
import { credentialsBody, NotEditable } from "./credentials.ts";
import { realtimeToken } from "./realtime-token.ts";
import { type Provider, providerOf } from "./services.ts";
import { ProviderFailure, type Recording, transcribe } from "./transcribe.ts";
import type { Voice } from "./voice.ts";

const OWNER = "default";
const MAX_NAME = 200;
const TYPE = /^[\x21-\x7e][\x20-\x7e]{0,254}$/;
/** Recordings that are on their way to a service. */
const AT_ONCE = { all: 8, perNamespace: 4 };
const FULL_MS = 5_000;
/** A service may be silent until it has heard all. */
const TRANSCRIBE_SECONDS = 130;

const realtimeBody = z.object({ provider: z.string(), language: z.unknown().optional() });
const tooLarge = () => new Refused(400, `Audio file must be between 1 byte and ${MAX_RECORDING_BYTES} bytes`);
const NO_STORE = { "cache-control": "no-store" };

export function dictationRoutes({
  config,
  bounds,
  log,
  voice,
}: Pick<HapiContext, "config" | "bounds" | "log"> & { readonly voice: Voice }) {
  const { credentials } = voice;
  const parts = { config, credentials };
  const underWay = new AtOnce({ bounds, name: "hapi-voice-recordings", ...AT_ONCE });
  const configured = (provider: Provider): void => {
    if (!voice.isConfigured(provider))
      throw new Refused(400, `${provider.id} transcription is not configured`);
  };
  const answered = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof ProviderFailure)) throw error;
      log.warn({ problem: error.message }, "a service for dictation did not do its work");
      throw new Refused(502, error.message);
    }
  };
  return new Hono<ApiEnv>()
    .get("/api/voice/transcription/providers", (c) =>
      c.json({ providers: voice.providers.map(({ id, label, modes }) => ({ id, label, modes })) }),
    )
    .get("/api/voice/transcription/credentials", (c) => {
      mustBeOwner(c.var.claims.ns);
      return c.json(credentials.view(), 200, NO_STORE);
    })
    .put("/api/voice/transcription/credentials", async (c) => {
      mustBeOwner(c.var.claims.ns);
      const wanted = credentialsBody.safeParse(await bodyOf(c));
      if (!wanted.success) throw new Refused(400, "Invalid transcription credentials payload");
      try {
        await credentials.change(wanted.data);
      } catch (error) {
        if (error instanceof NotEditable) throw new Refused(409, error.message);
        throw error;
      }
      return c.json(credentials.view(), 200, NO_STORE);
    })
    .post("/api/voice/transcription", async (c) => {
      // A place is taken when all of it is here: one that comes slowly would hold it for as long as its sender likes.
      const { provider, recording } = await recordingOf(c);
      configured(provider);
      const end = underWay.begin(c.var.claims.ns);
      if (end === undefined)
        return later(Response.json({ error: "Too many recordings at once" }, { status: 503 }), FULL_MS);
      try {
        c.env.extendIdle(TRANSCRIBE_SECONDS);
        return c.json(await answered(transcribe(provider, recording, parts, c.req.raw.signal)));
      } finally {
        end();
      }
    })
    .post("/api/voice/transcription/realtime-token", async (c) => {
      const { data } = realtimeBody.safeParse(await bodyOf(c));
      const provider = providerOf(data?.provider);
      if (data === undefined || provider?.modes.includes("realtime") !== true)
        throw new Refused(400, "Invalid realtime transcription provider");
      const language = languageOf(data.language);
      configured(provider);
      return c.json({ token: await answered(realtimeToken(provider, language, parts)) });
    });
}

function mustBeOwner(namespace: string): void {
  if (namespace !== OWNER) throw new Refused(403, "Provider credentials are only available to the hub owner");
}

/** The order of the checks is the original's. @throws Refused 400; BodyRefused */
async function recordingOf(c: Context<ApiEnv>): Promise<{ provider: Provider; recording: Recording }> {
  const type = c.req.header("content-type") ?? null;
  const parts = formParts(whole(await read(c)), type);
  if (parts === undefined) throw new Refused(400, "Invalid form data");
  const field = (name: string) => {
    const part = parts.find((each) => each.name === name && each.filename === undefined);
    return part && Buffer.from(part.bytes).toString("utf8");
  };
  const provider = providerOf(field("provider"));
  if (provider === undefined) throw new Refused(400, "Invalid transcription provider");
  const file = parts.find((each) => each.name === "file" && each.filename !== undefined);
  if (file === undefined) throw new Refused(400, "Missing audio file");
  const language = languageOf(field("language"));
  const { byteLength } = file.bytes;
  if (byteLength === 0 || byteLength > MAX_RECORDING_BYTES) throw tooLarge();
  // The form to the service has a copy of it.
  try {
    c.var.body.share.take(byteLength);
  } catch (error) {
    throw bodyRefused(error);
  }
  const recording = {
    bytes: file.bytes,
    name: file.filename?.slice(-MAX_NAME) || "speech.webm",
    // It goes into a header.
    type: TYPE.test(file.type) ? file.type : "audio/webm",
    language,
  };
  return { provider, recording };
}

async function read(c: Context<ApiEnv>): Promise<RawBody> {
  try {
    return await c.var.body.read();
  } catch (error) {
    if (error instanceof BodyRefused && error.code === "too-large") throw tooLarge();
    throw error;
  }
}

/** In one piece; what it came in is given back. */
function whole(raw: RawBody): Uint8Array<ArrayBuffer> {
  if (!isLarge(raw))
    return new Uint8Array(raw.bytes.buffer as ArrayBuffer, raw.bytes.byteOffset, raw.bytes.byteLength);
  const bytes = new Uint8Array(raw.length);
  let at = 0;
  for (const chunk of raw.chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
    releaseMemory(chunk);
  }
  return bytes;
}

/** What services take of it is its first part. Absent and empty: they find out. @throws Refused 400 */
function languageOf(given: unknown): string | undefined {
  if (given === undefined || given === null) return undefined;
  const text = typeof given === "string" ? given.trim() : "?";
  if (text === "") return undefined;
  if (!LANGUAGE.test(text)) throw new Refused(400, "Invalid transcription language");
  return text.split("-")[0]?.toLowerCase();
}
