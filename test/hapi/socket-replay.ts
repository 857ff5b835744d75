// Replays the steps of the scripted socket recordings against a hub, one after the other: they share its state. Each tells in words where
// the hub differed. Order counts within one receiver only.
import { differences, fill, fillText, isObject, type Json } from "./placeholders.ts";
import { ScriptedClient } from "./scripted-client.ts";
import type { Effect, SocketRecording } from "./socket-recordings.ts";
import { scenes } from "./socket-scenes.ts";
import type { Stage, Told } from "./stage.ts";

export async function replaySocketStep(stage: Stage, recording: SocketRecording): Promise<string[]> {
  await scenes[recording.step]?.(stage);
  stage.names.beginEntry();
  await prepareAnswers(stage, recording.effects);
  await stage.mark();
  const acknowledged = await perform(stage, recording);
  const wrong = differences(recording.ack, acknowledged, stage.names, "ack");
  // A receiver that an entry does not name is told nothing.
  const expected = new Map<string, Effect[]>();
  for (const effect of recording.effects)
    for (const receiver of effect.to) expected.set(receiver, [...(expected.get(receiver) ?? []), effect]);
  await stage.expecting(new Map([...expected].map(([name, effects]) => [name, effects.length])));
  const told = stage.told();
  const receivers = new Set([...expected.keys(), ...told.keys()]);
  for (const name of receivers)
    wrong.push(...receiverDifferences(stage, name, expected.get(name) ?? [], told.get(name) ?? []));
  return wrong;
}

function receiverDifferences(
  stage: Stage,
  name: string,
  expected: readonly Effect[],
  told: readonly Told[],
): string[] {
  const plain = expected.map(({ event, payload, reply }) => ({
    event,
    payload: stage.hub.tellsStoredSeq === true && event === "session-updated" ? withAnySeq(payload) : payload,
    ...(reply !== undefined && { reply }),
  }));
  return differences(
    plain,
    told.map((item) => ({ ...item })),
    stage.names,
    name,
  );
}

/** Of a session in full. */
function withAnySeq(payload: Json): Json {
  const { data = null } = isObject(payload) ? payload : {};
  if (!isObject(payload) || !isObject(data) || !("seq" in data)) return payload;
  return { ...payload, data: { ...data, seq: "{{int}}" } };
}

/** Receivers answer the calls of this entry as the recording says, having registered what is called. */
async function prepareAnswers(stage: Stage, effects: readonly Effect[]): Promise<void> {
  for (const { to, event, payload, reply } of effects) {
    if (reply === undefined) continue;
    for (const receiver of to) {
      const client = stage.client(receiver);
      client.answer = (asked) => (asked === event ? fill(reply, stage.names) : null);
      if (event !== "rpc-request" || !isObject(payload)) continue;
      client.emit("rpc-register", { method: fill(payload.method ?? null, stage.names) });
      await client.flush();
    }
  }
}

/** @returns what the entry calls its acknowledgement: of the event, the HTTP answer, or the outcome of a connect. */
async function perform(stage: Stage, recording: SocketRecording): Promise<Json> {
  const { direction, event, from } = recording;
  if (direction === "http") return http(stage, recording);
  if (event === "connect") return connect(stage, recording);
  const client = stage.client(from ?? "");
  if (event === "disconnect") {
    client.close();
    return null;
  }
  const payload = fill(recording.payload, stage.names);
  if (recording.ack === null) {
    client.emit(event, payload);
    return null;
  }
  const args = await client.ask(event, payload ?? undefined);
  // Where it has no argument at all, the list itself is recorded.
  return isObject(recording.ack) && "ackArgs" in recording.ack ? { ackArgs: args } : (args[0] ?? null);
}

async function connect(stage: Stage, { namespace, payload }: SocketRecording): Promise<Json> {
  const { auth = null } = isObject(payload) ? payload : {};
  const filled = fill(auth, stage.names) as { [key: string]: Json };
  const outcome = await ScriptedClient.open(stage.hub.url, namespace, filled);
  if ("refused" in outcome) return { connect_error: { message: outcome.refused } };
  outcome.close();
  return { connected: true };
}

/** `POST /cli/machines`, with an `(Origin: ...)` behind it where one is sent. */
async function http(stage: Stage, { event, payload, ack }: SocketRecording): Promise<Json> {
  const [, method = "", path = "", origin] = /^(\S+) (\S+)(?: \(Origin: (.*)\))?$/.exec(event) ?? [];
  const response = await stage.fetch(
    method,
    fillText(path, stage.names),
    fill(payload, stage.names),
    origin === undefined ? {} : { origin },
  );
  const text = await response.text();
  const { status } = response;
  if (isObject(ack) && "firstChar" in ack)
    return { status, firstChar: text[0] ?? "", open: JSON.parse(text.slice(1)) as Json };
  const protocol = response.headers.get("x-hapi-protocol-version");
  return { status, body: JSON.parse(text) as Json, ...(protocol !== null && { protocol }) };
}
