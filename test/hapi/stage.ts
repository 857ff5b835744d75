// Everybody who takes part in the socket recordings: scripted clients, event streams, HTTP with the right token. It says what each heard
// since the last entry began.
import { until } from "../support/until.ts";
import { EventStream, typeOf } from "./event-stream.ts";
import { type HubUnderTest, logIn } from "./hub-under-test.ts";
import { type Json, Names } from "./placeholders.ts";
import { ScriptedClient } from "./scripted-client.ts";

/** Within this time after what was expected, nothing more may come. */
const QUIET_MS = 150;
const BOUND_MS = 5_000;

export interface Told {
  readonly event: string;
  readonly payload: Json;
  readonly reply?: Json;
}

export class Stage {
  readonly names: Names;
  readonly #clients = new Map<string, ScriptedClient>();
  readonly #streams = new Map<string, EventStream>();
  #marks = new Map<string, number>();

  private constructor(
    readonly hub: HubUnderTest,
    readonly jwt: string,
  ) {
    this.names = new Names(hub.surplus);
    this.names.set("CLI_API_TOKEN", hub.token);
    this.names.set("jwt", jwt);
  }

  static async open(hub: HubUnderTest): Promise<Stage> {
    return new Stage(hub, await logIn(hub));
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    for (const stream of this.#streams.values()) stream.close();
  }

  client(name: string): ScriptedClient {
    const client = this.#clients.get(name);
    if (client === undefined) throw new Error(`${name} is not connected`);
    return client;
  }

  /** A socket of `/cli` in the room of its session or machine. One of the same name leaves before. */
  async cli(
    name: string,
    auth: { sessionId?: string; machineId?: string },
    namespace?: string,
  ): Promise<void> {
    const token = namespace === undefined ? this.hub.token : `${this.hub.token}:${namespace}`;
    await this.#join(name, "/cli", { token, ...auth });
  }

  /** A socket of `/terminal`. */
  async web(name: string): Promise<void> {
    await this.#join(name, "/terminal", { token: this.jwt });
  }

  async #join(name: string, namespace: string, auth: { [key: string]: Json }): Promise<void> {
    this.leave(name);
    this.#clients.set(name, await ScriptedClient.join(this.hub.url, namespace, auth));
  }

  leave(name: string): void {
    this.#clients.get(name)?.close();
    this.#clients.delete(name);
    this.#marks.delete(name);
  }

  /** An event stream with this filter, open and past its first frame. */
  async listen(name: string, filter: string): Promise<void> {
    const { stream } = await EventStream.open(`${this.hub.url}/api/events?${filter}&token=${this.jwt}`);
    this.#streams.set(name, stream);
    await stream.frames.first("the first frame", BOUND_MS, () => true);
  }

  deafen(name: string): void {
    this.#streams.get(name)?.close();
    this.#streams.delete(name);
  }

  /** With the token that the path needs. */
  fetch(method: string, path: string, body?: Json, headers: Record<string, string> = {}): Promise<Response> {
    const authorization = path.startsWith("/cli/")
      ? this.hub.token
      : path.startsWith("/api/")
        ? this.jwt
        : "";
    return fetch(`${this.hub.url}${path}`, {
      method,
      headers: {
        "accept-encoding": "identity",
        ...(authorization !== "" && { authorization: `Bearer ${authorization}` }),
        ...headers,
      },
      ...(body !== undefined && body !== null && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(2 * BOUND_MS),
    });
  }

  /** The same, of which only the answer's body counts. @throws Error for any status but 200. */
  async ask(method: string, path: string, body?: Json): Promise<Json> {
    const response = await this.fetch(method, path, body);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Json;
  }

  /** What each receiver was told since `mark`. */
  told(): Map<string, readonly Told[]> {
    const all = new Map<string, readonly Told[]>();
    for (const [name, client] of this.#clients)
      all.set(name, client.heard.all.slice(this.#marks.get(name) ?? 0));
    for (const [name, stream] of this.#streams)
      all.set(
        name,
        stream.frames.all
          .slice(this.#marks.get(name) ?? 0)
          .map((frame) => ({ event: typeOf(frame), payload: frame.says.data ?? null })),
      );
    return all;
  }

  /** From now on; what was told before is forgotten once all is quiet. */
  async mark(): Promise<void> {
    await this.quiet();
    this.#marks = new Map([
      ...[...this.#clients].map(([name, client]) => [name, client.heard.mark] as const),
      ...[...this.#streams].map(([name, stream]) => [name, stream.frames.mark] as const),
    ]);
  }

  /** Waits until each receiver was told as much as `expected` says; what is still missing is for the comparison to say. */
  async expecting(expected: ReadonlyMap<string, number>): Promise<void> {
    const enough = () =>
      [...expected].every(([name, count]) => (this.told().get(name)?.length ?? 0) >= count);
    await until("the effects", enough, BOUND_MS).catch(() => {});
    await this.quiet();
  }

  /** Waits until nobody is told anything for a while. */
  async quiet(): Promise<void> {
    const count = () => [...this.told().values()].reduce((sum, told) => sum + told.length, 0);
    for (let before = -1; before !== count(); ) {
      before = count();
      await Bun.sleep(QUIET_MS);
    }
  }
}
