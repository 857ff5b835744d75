// The shared recordings of HTTP and event streams, read strictly: a key that the replayer does not know is an error, not ignored.
import { z } from "zod";
import recorded from "./recordings/hapi-http-recordings.json";

const json = z.json();
const object = z.record(z.string(), json);
const text = z.record(z.string(), z.string());

const action = z.union([
  z.strictObject({
    socket: z.string(),
    connect: z.string(),
    auth: object,
    /** Answers by method. */
    rpc: z.record(z.string(), json),
  }),
  z.strictObject({ socket: z.string(), emit: z.string(), data: json }),
  z.strictObject({ socket: z.string(), emitWithAck: z.string(), data: json }),
  z.strictObject({ http: z.string(), auth: z.string().nullable(), body: json, capture: text.optional() }),
  z.strictObject({ sleepMs: z.number() }),
]);
export type Action = z.infer<typeof action>;

const recording = z.strictObject({
  name: z.string(),
  note: z.string().optional(),
  before: z.array(action).optional(),
  request: z.strictObject({
    method: z.string(),
    path: z.string(),
    auth: z.string().nullable(),
    headers: text.optional(),
    body: json.optional(),
  }),
  during: z.array(action).optional(),
  capture: text.optional(),
  response: z.strictObject({
    status: z.number(),
    headers: text,
    body: json.optional(),
    sse: z.array(object).optional(),
    firstFrameRaw: z.string().optional(),
  }),
  /** What the CLI side was asked because of this request; nothing where it is absent. */
  expectRpc: z.array(z.strictObject({ method: z.string(), params: json })).optional(),
  expectCliUpdates: z.array(object).optional(),
  /** Kept for readers: the texts are not compared. */
  observedIssues: json.optional(),
});
export type HttpRecording = z.infer<typeof recording>;

export const httpRecordings: readonly HttpRecording[] = z.array(recording).parse(recorded.recordings);
