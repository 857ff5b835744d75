// Nacos as a provider, over its open HTTP API (contract 16): the document is read once, then a request that waits tells when it changed.
// Built against a description and a small server that behaves so; never run against a real Nacos.
import { createHash } from "node:crypto";
import { z } from "zod";
import { callService, type ServiceAnswer, type ServiceCall, serviceUrl } from "../../http/service-call.ts";
import type { RpcDocument } from "./document.ts";
import { readText, tell } from "./given.ts";
import { MAX_DOCUMENT_BYTES, type Provider, type ProviderHooks } from "./provider.ts";

export type NacosSettings = NonNullable<RpcDocument["config"]["nacos"]>;

export interface NacosTimes {
  /** How long it may hold the request that waits. */
  readonly pollMs: number;
  /** Doubles with each failure, up to the last. */
  readonly firstBackoffMs: number;
  readonly lastBackoffMs: number;
  readonly answerMs: number;
  /** On top of what it may hold the request for. */
  readonly graceMs: number;
}

const TIMES: NacosTimes = {
  pollMs: 30_000,
  firstBackoffMs: 1_000,
  lastBackoffMs: 30_000,
  answerMs: 5_000,
  graceMs: 10_000,
};
const DEFAULT_PORT = 8848;
/** Before a token ends. */
const RENEW_EARLY_MS = 30_000;
const WORD = "\u0002";
const LINE = "\u0001";

const login = z.object({
  accessToken: z.string().min(1),
  tokenTtl: z.coerce.number().positive().default(18_000),
});

/** Its message is for the log: neither address with its token nor answer is in it. */
class NacosError extends Error {}

export class NacosProvider implements Provider {
  readonly name = "nacos";
  readonly #servers: readonly string[];
  readonly #times: NacosTimes;
  readonly #stop = new AbortController();
  #current = 0;
  #token: { readonly text: string; readonly endsAt: number } | undefined;
  /** Of what was read last, as Nacos counts it; empty for nothing. */
  #md5 = "";
  #running: Promise<void> | undefined;

  constructor(
    private readonly settings: NacosSettings,
    times: Partial<NacosTimes> = {},
  ) {
    this.#servers = serversOf(settings.server_addresses);
    this.#times = { ...TIMES, ...times };
  }

  async load(): Promise<unknown> {
    const bytes = await this.#anywhere(() => this.#read());
    return bytes === undefined ? undefined : readText(bytes);
  }

  watch(hooks: ProviderHooks): void {
    this.#running = this.#follow(hooks);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #follow(hooks: ProviderHooks): Promise<void> {
    const { signal } = this.#stop;
    let failures = 0;
    const recovered = () => {
      if (failures > 0) hooks.recovered();
      failures = 0;
    };
    while (!signal.aborted) {
      const began = performance.now();
      try {
        // After a failure a short question tells whether it is back.
        if (failures > 0 || (await this.#poll())) await this.#changed(hooks);
        recovered();
        // A server that answers at once, again and again, is asked once a second.
        await this.#pause(this.#times.firstBackoffMs - (performance.now() - began));
      } catch (error) {
        if (signal.aborted) return;
        if (failures === 0) hooks.failed(problem(error));
        this.#current++;
        const { firstBackoffMs, lastBackoffMs } = this.#times;
        await this.#pause(Math.min(lastBackoffMs, firstBackoffMs * 2 ** Math.min(failures++, 20)));
      }
    }
  }

  async #changed(hooks: ProviderHooks): Promise<void> {
    const before = this.#md5;
    const bytes = await this.#read();
    if (this.#stop.signal.aborted || this.#md5 === before) return;
    tell(hooks, bytes, "it is gone");
  }

  /** Undefined: nothing is stored there. */
  async #read(): Promise<Uint8Array | undefined> {
    const { data_id: dataId, group } = this.settings;
    const answer = await this.#call("/nacos/v1/cs/configs", {}, { dataId, group, ...this.#tenant("tenant") });
    const isThere = answer.status !== 404 && answer.bytes.byteLength > 0;
    if (answer.status !== 404 && !answer.ok) throw new NacosError(`it answered ${answer.status}`);
    this.#md5 = isThere ? createHash("md5").update(answer.bytes).digest("hex") : "";
    return isThere ? answer.bytes : undefined;
  }

  /** Resolves when it changed, or did not for as long as the request may wait. */
  async #poll(): Promise<boolean> {
    const { data_id: dataId, group, namespace } = this.settings;
    const words = [dataId, group, this.#md5, ...(namespace === undefined ? [] : [namespace])];
    const { pollMs, graceMs } = this.#times;
    const answer = await this.#call("/nacos/v1/cs/configs/listener", {
      method: "POST",
      headers: { "Long-Pulling-Timeout": String(pollMs) },
      body: form({ "Listening-Configs": `${words.join(WORD)}${LINE}` }),
      timeoutMs: pollMs + graceMs,
    });
    if (!answer.ok) throw new NacosError(`it answered ${answer.status}`);
    return answer.bytes.byteLength > 0;
  }

  /** With a token where there is a user; one that is not taken any more is asked for again, once. */
  async #call(
    path: string,
    call: ServiceCall = {},
    query: Readonly<Record<string, string>> = {},
  ): Promise<ServiceAnswer> {
    const ask = async (): Promise<ServiceAnswer> => {
      const token = await this.#accessToken();
      return this.#ask(path, call, token === undefined ? query : { ...query, accessToken: token });
    };
    const answer = await ask();
    const isRefused = answer.status === 401 || answer.status === 403;
    if (!isRefused || this.settings.username === undefined) return answer;
    this.#token = undefined;
    return ask();
  }

  async #accessToken(): Promise<string | undefined> {
    const { username, password = "" } = this.settings;
    if (username === undefined) return undefined;
    if (this.#token !== undefined && performance.now() < this.#token.endsAt) return this.#token.text;
    const answer = await this.#ask("/nacos/v1/auth/login", {
      method: "POST",
      body: form({ username, password }),
    });
    if (!answer.ok) throw new NacosError(`it does not take the user (${answer.status})`);
    const { accessToken, tokenTtl } = answer.json(login);
    const ms = tokenTtl * 1_000;
    this.#token = { text: accessToken, endsAt: performance.now() + Math.max(ms / 2, ms - RENEW_EARLY_MS) };
    return accessToken;
  }

  #ask(
    path: string,
    call: ServiceCall,
    query: Readonly<Record<string, string>> = {},
  ): Promise<ServiceAnswer> {
    const server = this.#servers[this.#current % this.#servers.length] ?? "";
    return callService(serviceUrl(server, path, query), {
      maxBytes: MAX_DOCUMENT_BYTES,
      timeoutMs: this.#times.answerMs,
      signal: this.#stop.signal,
      ...call,
    });
  }

  #tenant(name: string): Readonly<Record<string, string>> {
    const { namespace } = this.settings;
    return namespace === undefined ? {} : { [name]: namespace };
  }

  /** The first of the servers that answers. */
  async #anywhere<T>(work: () => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried++) {
      try {
        return await work();
      } catch (error) {
        if (tried >= this.#servers.length) throw problem(error);
        this.#current++;
      }
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#stop;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, ms));
      timer.unref();
      if (signal.aborted) done();
      else signal.addEventListener("abort", done, { once: true });
    });
  }
}

function serversOf(addresses: NacosSettings["server_addresses"]): readonly string[] {
  const all = typeof addresses === "string" ? addresses.split(",") : addresses;
  return all
    .map((address) => address.trim())
    .filter((address) => address !== "")
    .map((address) => {
      if (/^https?:\/\//.test(address)) return address.replace(/\/+$/, "");
      return `http://${/:\d+$/.test(address) ? address : `${address}:${DEFAULT_PORT}`}`;
    });
}

const form = (fields: Readonly<Record<string, string>>): Blob =>
  new Blob([new URLSearchParams(fields).toString()], { type: "application/x-www-form-urlencoded" });

/** What the network says can hold the address, and that holds the token. */
function problem(error: unknown): Error {
  if (error instanceof NacosError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  return new Error(code === undefined ? "it does not answer" : `it does not answer (${code})`);
}
