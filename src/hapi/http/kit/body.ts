// A body as the hub's handlers read it (HTTP contract, 1): JSON whatever its type says, and null where there is none or it is no JSON.
import type { Context } from "hono";
import { BodyRefused } from "../../../http/request-body.ts";
import type { OpenEnv } from "./env.ts";

/** With an upload of 50 MiB as base64 (HTTP contract, E5). */
const MAX_BODY_BYTES = 68 * 1024 * 1024;
/** Nothing else that clients send comes near it. */
const MAX_PLAIN_BODY_BYTES = 8 * 1024 * 1024;
/** Uploads, messages with previews of what is attached; and sessions with all of their values. */
const CARRIES_MUCH = /\/(upload|messages)$|^\/cli\/(sessions|machines)$/;
/** The largest recording of a voice, and the form around it. */
export const MAX_RECORDING_BYTES = 25 * 1024 * 1024;
const MAX_RECORDING_FORM_BYTES = MAX_RECORDING_BYTES + 64 * 1024;
const RECORDING = /^\/api\/voice\/transcription$/;

/** Of who has proved an account. */
export const bodyLimit = (path: string): number => {
  if (RECORDING.test(path)) return MAX_RECORDING_FORM_BYTES;
  return CARRIES_MUCH.test(path) ? MAX_BODY_BYTES : MAX_PLAIN_BODY_BYTES;
};

const NO_JSON: ReadonlySet<string> = new Set(["not-json", "not-utf8", "too-deep"]);

/**
 * Long texts under `rawTexts` of a large body as RawText.
 * @throws BodyRefused for one that is too large, or that comes at a bad time.
 */
export async function bodyOf<E extends OpenEnv>(
  c: Context<E>,
  rawTexts: readonly string[] = [],
): Promise<unknown> {
  const { body } = c.var as OpenEnv["Variables"];
  try {
    return await body.json(rawTexts);
  } catch (error) {
    if (error instanceof BodyRefused && NO_JSON.has(error.code)) return null;
    throw error;
  }
}
