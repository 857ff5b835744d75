// The shared recordings of Socket.IO, as the released hub 0.30.7 answers: its deviations from the older baseline are laid over. Read
// strictly: a key or a placeholder that the replayer does not know is an error, not ignored.
import { z } from "zod";
import { isKnown, type Json, placeholdersOf } from "./placeholders.ts";
import recorded from "./recordings/hapi-socket-recordings.json";

const json = z.json();
const effect = z.strictObject({
  to: z.array(z.string()),
  event: z.string(),
  payload: json,
  /** What the receiver acknowledges with. */
  reply: json.optional(),
});
const observed = { payload: json, ack: json, effects: z.array(effect) };
const recording = z
  .strictObject({
    step: z.string(),
    hub: z.string(),
    source: z.string().optional(),
    direction: z.enum(["http", "client->server", "server->client", "note"]),
    namespace: z.string(),
    from: z.string().optional(),
    event: z.string(),
    payload: json,
    ack: json,
    effects: z.array(effect).default([]),
    delta_0_30_7: z.strictObject(observed).partial().optional(),
    note: z.string().optional(),
  })
  .transform(({ delta_0_30_7, ...entry }) => ({ ...entry, ...delta_0_30_7 }));
export type SocketRecording = z.infer<typeof recording>;
export type Effect = z.infer<typeof effect>;

/** `<ms>` as they write it, `{{ms}}` as the HTTP recordings and the replayer do. */
const PLACEHOLDER =
  /<(ms|int|number|uuid:\d+|session:\w+|machine:\w+|CLI_API_TOKEN|jwt|engine-sid|socket-id|echo|list of [^>]*)>/g;

const [legend, ...rest] = JSON.parse(JSON.stringify(recorded).replace(PLACEHOLDER, "{{$1}}")) as Json[];
const unknown = placeholdersOf(rest).filter((name) => !isKnown(name));
if (unknown.length > 0) throw new Error(`The recordings have unknown placeholders: ${unknown.join(", ")}`);

/** The first entry: what the words of the others mean. */
export const socketLegend = z
  .looseObject({ step: z.literal("00-legend"), direction: z.literal("note") })
  .parse(legend);
export const socketRecordings: readonly SocketRecording[] = z.array(recording).parse(rest);

/** What a scripted CLI and scripted web clients did. */
export const scriptedSteps = socketRecordings.filter(({ step }) => /^\d/.test(step));
/** What the released CLI did, seen through a proxy. */
export const realCliSteps = socketRecordings.filter(({ step }) => /^T/.test(step));

/** @throws Error for a step that there is not. */
export function stepNamed(name: string): SocketRecording {
  const found = socketRecordings.find(({ step }) => step === name);
  if (found === undefined) throw new Error(`there is no step ${name}`);
  return found;
}
