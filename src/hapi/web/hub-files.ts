// Single files of a hub over HTTP, all of them within one limit of files and bytes. A hub that answers an unknown name with its page is
// understood (HTTP contract, H1); the first problem ends what else is under way.

import { pathOfName } from "./names.ts";
export type Fetched = Uint8Array<ArrayBuffer>;

export interface HubLimits {
  readonly files: number;
  /** Of all files together. */
  readonly bytes: number;
  /** A hub that says nothing for so long has gone. */
  readonly silenceMs: number;
}

export class HubFiles implements AsyncDisposable {
  readonly #ended = new AbortController();
  #bytes = 0;

  constructor(
    readonly origin: string,
    private readonly limits: HubLimits,
  ) {}

  /** @throws Error with a sentence for more files than there may be. */
  willAsk(files: number): void {
    if (files > this.limits.files)
      throw new Error(`The web app of ${this.origin} has more than ${this.limits.files} files.`);
  }

  /** @throws Error with a sentence, also when the file is not there. */
  async required(name: string): Promise<Fetched> {
    const found = await this.optional(name);
    if (found === undefined)
      throw new Error(`${this.origin} has no ${name}: it serves no whole web app of HAPI's.`);
    return found;
  }

  /** Undefined where there is none. @throws Error with a sentence for every other answer. */
  async optional(name: string): Promise<Fetched | undefined> {
    const answer = await this.#ask(name);
    const { status, headers } = answer;
    const type = headers.get("content-type") ?? "";
    if (status >= 300 && status < 400)
      throw new Error(
        `${this.origin} answers /${name} with a redirect, which is not followed. Name the address that it leads to.`,
      );
    const isPage = /^\s*text\/html\b/i.test(type);
    if (status === 404 || (status === 200 && isPage && !name.endsWith(".html"))) {
      await answer.body?.cancel();
      return undefined;
    }
    if (status !== 200) throw new Error(`${this.origin} answers /${name} with status ${status}.`);
    return this.#whole(name, answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
  }

  async #ask(name: string): Promise<Response> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), this.limits.silenceMs);
    try {
      return await fetch(`${this.origin}${pathOfName(name)}`, {
        // Its length says then whether it is whole.
        headers: { accept: "*/*", "accept-encoding": "identity", "cache-control": "no-cache" },
        redirect: "manual",
        signal: AbortSignal.any([this.#ended.signal, silence.signal]),
      });
    } catch (error) {
      throw this.#cut(name, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #whole(name: string, { body, headers }: Response): Promise<Fetched> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const reader = body?.getReader();
    try {
      for (;;) {
        const { value, done } = await this.#next(reader);
        if (done || value === undefined) break;
        bytes += value.byteLength;
        this.#bytes += value.byteLength;
        if (this.#bytes > this.limits.bytes) throw new TooMuch();
        chunks.push(value);
      }
    } catch (error) {
      void reader?.cancel().catch(() => {});
      if (error instanceof TooMuch)
        throw new Error(
          `The web app of ${this.origin} is larger than ${this.limits.bytes / 1024 / 1024} MiB.`,
        );
      throw this.#cut(name, error);
    }
    const told = headers.get("content-length");
    if (told !== null && !headers.has("content-encoding") && Number(told) !== bytes)
      throw this.#cut(name, new Error(`${bytes} of ${told} bytes came`));
    return new Uint8Array(Buffer.concat(chunks, bytes));
  }

  async #next(reader: Reader | undefined): Promise<{ readonly value?: Uint8Array; readonly done: boolean }> {
    if (reader === undefined) return { done: true };
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("it fell silent")), this.limits.silenceMs);
    try {
      return await Promise.race([reader.read(), promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #cut(name: string, error: unknown): Error {
    const why = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
    return new Error(`/${name} could not be read whole from ${this.origin}: ${why}.`);
  }
}

type Reader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read">;

class TooMuch extends Error {}
