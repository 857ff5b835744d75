// A file as a provider, looked at every second. What is being written is waited for: a half file is never a document. One that is gone, or
// empty all at once, changes nothing, since it says nothing, and nothing may mean that everybody is let in.
import { hash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { readText } from "./given.ts";
import { MAX_DOCUMENT_BYTES, type Provider, type ProviderHooks } from "./provider.ts";

const LOOK_EVERY_MS = 1_000;
/** It is taken when it did not change for so long. */
const STILL_MS = 100;

export interface FileProviderParts {
  readonly path: string;
  /** It may be absent, and appear later. */
  readonly isOptional: boolean;
  readonly lookEveryMs?: number;
}

export class FileProvider implements Provider {
  readonly name: string;
  #timer: Timer | undefined;
  #isClosed = false;
  /** Of the file that was read last. */
  #state = "";
  #hash = "";
  /** Seen, and not read yet. */
  #candidate = "";
  #isBroken = false;

  constructor(private readonly parts: FileProviderParts) {
    this.name = parts.path;
  }

  async load(): Promise<unknown> {
    this.#state = await this.#look();
    if (this.#state === GONE) {
      if (this.parts.isOptional) return undefined;
      throw new Error("it is not there: make it, or name another file with --rpc-config");
    }
    if (this.#state.startsWith(NOT_READABLE)) throw new Error(`it is ${this.#state}`);
    return readText(await this.#read());
  }

  watch(hooks: ProviderHooks): void {
    const { lookEveryMs = LOOK_EVERY_MS } = this.parts;
    const again = (ms: number) => {
      if (this.#isClosed) return;
      this.#timer = setTimeout(async () => {
        const isMoving = await this.#step(hooks);
        again(isMoving ? STILL_MS : lookEveryMs);
      }, ms);
      this.#timer.unref();
    };
    again(lookEveryMs);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** True while it is being written. Never rejects. */
  async #step(hooks: ProviderHooks): Promise<boolean> {
    try {
      const state = await this.#look();
      if (state === this.#state) {
        this.#candidate = "";
        return false;
      }
      if (state !== this.#candidate) {
        this.#candidate = state;
        return true;
      }
      this.#candidate = "";
      this.#state = state;
      if (state === GONE) throw new Error("it is gone; what it said last stays");
      if (state.startsWith(NOT_READABLE)) throw new Error(`it is ${state}`);
      const before = this.#hash;
      const given = readText(await this.#read());
      if (this.#isClosed) return false;
      if (given === undefined)
        throw new Error("it is empty; what it said last stays ({} means the defaults)");
      if (this.#isBroken) hooks.recovered();
      this.#isBroken = false;
      if (before !== this.#hash) hooks.changed(given);
    } catch (error) {
      // Whatever comes next is news, also what was there before.
      this.#hash = "";
      this.#isBroken = true;
      if (!this.#isClosed) hooks.failed(error instanceof Error ? error : new Error("it cannot be read"));
    }
    return false;
  }

  async #read(): Promise<Uint8Array> {
    const { size } = await stat(this.parts.path);
    if (size > MAX_DOCUMENT_BYTES) throw new Error(`it has more than ${MAX_DOCUMENT_BYTES} bytes`);
    const bytes = await readFile(this.parts.path);
    this.#hash = hash("sha256", bytes, "hex");
    return bytes;
  }

  async #look(): Promise<string> {
    try {
      const { ino, size, mtimeNs } = await stat(this.parts.path, { bigint: true });
      return `${ino}:${size}:${mtimeNs}`;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
      return code === "ENOENT" || code === "ENOTDIR" ? GONE : `${NOT_READABLE}${code}`;
    }
  }
}

const GONE = "gone";
const NOT_READABLE = "not readable: ";
