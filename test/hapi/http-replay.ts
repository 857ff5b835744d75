// Replays the HTTP recordings against a hub, one after the other: they share its state. Each tells in words where the hub differed.
import { until } from "../support/until.ts";
import { EventStream, type Frame, typeOf } from "./event-stream.ts";
import type { Action, HttpRecording } from "./http-recordings.ts";
import type { HubUnderTest } from "./hub-under-test.ts";
import { at, differences, fill, fillText, isObject, type Json, Names, parseOr } from "./placeholders.ts";
import { ScriptedClient } from "./scripted-client.ts";

/** What is expected must come within this time. */
const BOUND_MS = 5_000;
/** And within this time after it, nothing more. */
const QUIET_MS = 200;
/** The recordings' own pause after an event without an acknowledgement. */
const EMIT_MS = 150;

/** Where every client's calls and updates are counted from. */
type Marks = ReadonlyMap<ScriptedClient, number>;

export class HttpReplay {
  readonly #hub: HubUnderTest;
  readonly #names: Names;
  readonly #clients = new Map<string, ScriptedClient>();

  constructor(hub: HubUnderTest) {
    this.#hub = hub;
    this.#names = new Names(hub.surplus);
    this.#names.set("CLI_TOKEN", hub.token);
    this.#names.set("HUB_ORIGIN", hub.publicOrigin);
    this.#names.set("VAPID_PUBLIC_KEY", hub.vapidPublicKey);
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  /** @returns where the hub differed from the recording, a line each. */
  async step(recording: HttpRecording): Promise<string[]> {
    this.#names.beginEntry();
    for (const action of recording.before ?? []) await this.#act(action);
    const marks = new Map([...this.#clients.values()].map((client) => [client, client.heard.mark]));
    const { request, response: expected } = recording;
    const url = `${this.#hub.url}${fillText(request.path, this.#names)}`;
    const headers: Record<string, string> = { ...this.#authorization(request.auth) };
    for (const [name, value] of Object.entries(request.headers ?? {}))
      headers[name] = fillText(value, this.#names);
    const found =
      expected.sse === undefined
        ? await this.#plain(recording, url, headers)
        : await this.#stream(recording, url, headers);
    return [...found, ...(await this.#calls(recording, marks))];
  }

  async #plain(recording: HttpRecording, url: string, headers: Record<string, string>): Promise<string[]> {
    const { request, response: expected } = recording;
    const response = await this.#send(request.method, url, headers, request.body);
    const text = await response.text();
    const isJson = expected.headers["content-type"]?.startsWith("application/json");
    const body = text === "" ? null : isJson ? parseOr(text) : text;
    this.#capture(recording.capture, body);
    return [
      ...this.#head(recording, response),
      ...differences(expected.body ?? null, body, this.#names, "body"),
    ];
  }

  async #stream(recording: HttpRecording, url: string, headers: Record<string, string>): Promise<string[]> {
    const expected = recording.response.sse ?? [];
    const { response, stream } = await EventStream.open(url, headers);
    try {
      const wrong = this.#head(recording, response);
      if (response.status !== recording.response.status) return wrong;
      // The verdict comes first; only then does the stream count as open.
      await stream.frames.first("the first frame", BOUND_MS, () => true);
      for (const action of recording.during ?? []) await this.#act(action);
      await stream.frames
        .first(
          `${expected.length} frames`,
          BOUND_MS,
          () => stream.frames.mark >= expected.length || undefined,
        )
        .catch(() => undefined); // What is missing is told below, by its place.
      await Bun.sleep(QUIET_MS);
      const frames = stream.frames.all;
      this.#capture(recording.capture, { sse: frames.map(({ says }) => says) });
      return [...wrong, ...this.#frames(recording, frames)];
    } finally {
      stream.close();
    }
  }

  /** A toast takes its own way: only its place among other toasts is compared. */
  #frames({ response: { sse = [], firstFrameRaw } }: HttpRecording, seen: readonly Frame[]): string[] {
    const isToast = (says: { [key: string]: Json }) => at(says, "data.type") === "toast";
    const compare = (toasts: boolean, name: string) =>
      differences(
        sse.filter((says) => isToast(says) === toasts),
        seen.filter((frame) => (typeOf(frame) === "toast") === toasts).map(({ says }) => says),
        this.#names,
        name,
      );
    const first = firstFrameRaw === undefined ? undefined : fillText(firstFrameRaw, this.#names);
    const raw = seen[0]?.raw ?? "";
    return [
      ...compare(false, "sse"),
      ...compare(true, "toasts"),
      ...(first === undefined || first === raw
        ? []
        : [`first frame: expected ${JSON.stringify(first)}, got ${JSON.stringify(raw)}`]),
    ];
  }

  #head({ response: expected }: HttpRecording, response: Response): string[] {
    const headers = Object.fromEntries(
      Object.keys(expected.headers).map((name) => [name, response.headers.get(name)]),
    );
    return [
      ...differences(expected.status, response.status, this.#names, "status"),
      ...differences(expected.headers, headers, this.#names, "headers"),
    ];
  }

  /** What the CLI side was asked and told because of this request. */
  async #calls(recording: HttpRecording, marks: Marks): Promise<string[]> {
    const heard = () =>
      [...this.#clients.values()].flatMap((client) => client.heard.all.slice(marks.get(client) ?? 0));
    const calls = heard()
      .filter(({ event }) => event === "rpc-request")
      .map(({ payload }) => ({
        method: at(payload, "method") ?? null,
        params: parseOr(at(payload, "params") ?? null),
      }));
    const wrong = differences(recording.expectRpc ?? [], calls, this.#names, "rpc");
    const { expectCliUpdates } = recording;
    if (expectCliUpdates === undefined) return wrong;
    const updates = () => heard().flatMap(({ event, payload }) => (event === "update" ? [payload] : []));
    await until("the updates", () => updates().length >= expectCliUpdates.length, BOUND_MS).catch(() => {});
    await Bun.sleep(QUIET_MS);
    return [...wrong, ...differences(expectCliUpdates, updates(), this.#names, "updates")];
  }

  async #act(action: Action): Promise<void> {
    if ("sleepMs" in action) return Bun.sleep(action.sleepMs);
    if ("http" in action) {
      const [method = "", path = ""] = action.http.split(" ");
      const url = `${this.#hub.url}${fillText(path, this.#names)}`;
      const response = await this.#send(method, url, this.#authorization(action.auth), action.body);
      return this.#capture(action.capture, parseOr(await response.text()));
    }
    if ("connect" in action) return this.#connect(action);
    const client = this.#clients.get(action.socket);
    if (client === undefined) throw new Error(`there is no socket ${action.socket}`);
    const data = fill(action.data, this.#names);
    if ("emitWithAck" in action) await client.ask(action.emitWithAck, data);
    else {
      client.emit(action.emit, data);
      await Bun.sleep(EMIT_MS);
    }
    return client.flush();
  }

  async #connect(action: Extract<Action, { connect: string }>): Promise<void> {
    const auth = fill(action.auth, this.#names) as { [key: string]: Json };
    const client = await ScriptedClient.join(this.#hub.url, action.connect, auth);
    const answers = new Map(
      Object.entries(action.rpc).map(([method, answer]) => [fillText(method, this.#names), answer]),
    );
    client.answer = (event, payload) => {
      const answer = answers.get(`${at(payload, "method")}`);
      if (event !== "rpc-request" || answer === undefined) return null;
      return JSON.stringify(this.#answer(answer, parseOr(at(payload, "params") ?? null)));
    };
    this.#clients.set(action.socket, client);
    for (const method of answers.keys()) client.emit("rpc-register", { method });
    await client.flush();
  }

  /** A scripted answer: it may repeat the parameters, or be chosen by one of them. */
  #answer(template: Json, params: Json): Json {
    if (Array.isArray(template)) return template.map((part) => this.#answer(part, params));
    if (typeof template === "string") {
      const [, member] = /^\{\{params(?:\.(\w+))?\}\}$/.exec(template) ?? [];
      if (template === "{{params}}") return params;
      return member === undefined ? fill(template, this.#names) : (at(params, member) ?? null);
    }
    if (!isObject(template)) return template;
    if (typeof template.$switch === "string") {
      const chosen = template[`${at(params, template.$switch)}`] ?? template.$default ?? null;
      return this.#answer(chosen, params);
    }
    return Object.fromEntries(
      Object.entries(template).map(([key, part]) => [key, this.#answer(part, params)]),
    );
  }

  #authorization(auth: string | null): Record<string, string> {
    if (auth === null) return {};
    const name = (value: string) => fillText(`{{${value}}}`, this.#names);
    if (auth.startsWith("raw:")) return { authorization: auth.slice("raw:".length) };
    if (auth === "jwt") return { authorization: `Bearer ${name("JWT")}` };
    if (auth.startsWith("jwt:")) return { authorization: `Bearer ${name(auth.slice("jwt:".length))}` };
    if (auth === "cli") return { authorization: `Bearer ${name("CLI_TOKEN")}` };
    if (auth.startsWith("cli:"))
      return { authorization: `Bearer ${name("CLI_TOKEN")}:${auth.slice("cli:".length)}` };
    throw new Error(`there is no way to authorize as ${auth}`);
  }

  #send(method: string, url: string, headers: Record<string, string>, body: Json | undefined) {
    return fetch(url, {
      method,
      // As curl asks: without compression.
      headers: { "accept-encoding": "identity", "content-type": "application/json", ...headers },
      ...(body !== undefined && { body: JSON.stringify(fill(body, this.#names)) }),
      signal: AbortSignal.timeout(2 * BOUND_MS),
    });
  }

  #capture(capture: Record<string, string> | undefined, from: Json): void {
    for (const [name, path] of Object.entries(capture ?? {})) {
      const value = at(from, path);
      if (value !== undefined) this.#names.set(name, value);
    }
  }
}
