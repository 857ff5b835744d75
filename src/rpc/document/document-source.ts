// The document that counts now, made from what several providers say: defaults below all, the later provider wins. A change counts whole or
// not at all. What was refused is tried again when another provider changes, since the two may belong together.
import type { Logger } from "pino";
import type { Fields } from "../wire/problems.ts";
import { look, renamed } from "./aliases.ts";
import { checked } from "./check.ts";
import { keepCold } from "./cold.ts";
import { DEFAULT_DOCUMENT, type RpcDocument } from "./document.ts";
import { type GivenOptions, givenFields } from "./given.ts";
import { notServed } from "./not-served.ts";
import type { Provider } from "./provider.ts";

export interface Source extends GivenOptions {
  readonly provider: Provider;
  /** Keys, dotted, that may not be said there: whoever writes it does not decide about them. */
  readonly without?: readonly string[];
}

export interface DocumentSourceParts {
  readonly log: Logger;
  /** @throws Error with a sentence for a document that nobody may run with. */
  readonly refuse: (document: RpcDocument) => void;
  /** Sentences for the log. */
  readonly warnings: (document: RpcDocument) => readonly string[];
  readonly rejected: () => void;
}

interface Layer extends Source {
  /** What counts of it. */
  fields: Fields;
  /** What it says now, where that does not count. */
  waiting: Fields | undefined;
}

export class DocumentSource {
  readonly #layers: Layer[] = [];
  readonly #warned = new Set<string>();
  readonly #listeners = new Set<(document: RpcDocument) => void>();
  #document: RpcDocument = DEFAULT_DOCUMENT;
  /** Undefined before the start. */
  #started: RpcDocument | undefined;

  constructor(private readonly parts: DocumentSourceParts) {}

  readonly current = (): RpcDocument => this.#document;

  /** Told after each change. */
  onChange(listener: (document: RpcDocument) => void): void {
    this.#listeners.add(listener);
  }

  /** Before the start; later ones win, except that it stands below those that are named. @throws Error with a sentence. */
  async add(source: Source, below: readonly Provider[] = []): Promise<void> {
    const fields = await this.#loaded(source).catch(async (error: unknown) => {
      // It may go on trying.
      await source.provider.close();
      throw error;
    });
    const at = this.#layers.findIndex(({ provider }) => below.includes(provider));
    this.#layers.splice(at < 0 ? this.#layers.length : at, 0, { ...source, fields, waiting: undefined });
    this.#document = checked(this.#named());
  }

  /** From here on changes are followed. @throws Error with a sentence for a document that nobody may start with. */
  start(): void {
    this.parts.refuse(this.#document);
    this.#warn();
    this.#started = this.#document;
    for (const layer of this.#layers) {
      const { name } = layer.provider;
      layer.provider.watch({
        changed: (given) => this.#changed(layer, given),
        failed: (error) => {
          this.parts.rejected();
          this.parts.log.error(
            { from: name, problem: error.message },
            "the document cannot be read there; the one that counted before stays",
          );
        },
        recovered: () => this.parts.log.info({ from: name }, "the document can be read there again"),
      });
    }
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await Promise.all(this.#layers.map(({ provider }) => provider.close()));
  }

  async #loaded(source: Source): Promise<Fields> {
    const { name } = source.provider;
    try {
      return this.#fieldsOf(source, await source.provider.load());
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : "it cannot be read"}`);
    }
  }

  #fieldsOf({ provider, variables, without = [] }: Source, given: unknown): Fields {
    const { fields, notes } = renamed(givenFields(given, { variables }));
    for (const key of without)
      if (look(fields, key) !== undefined)
        throw new Error(`${key} cannot be said there, only where the server is`);
    for (const note of notes) this.#once(`${provider.name}: ${note}`);
    return fields;
  }

  #changed(layer: Layer, given: unknown): void {
    const { name } = layer.provider;
    try {
      layer.waiting = this.#fieldsOf(layer, given);
      try {
        this.#take(this.#layers);
      } catch {
        // What another one waits with is wrong, or this is.
        this.#take([layer]);
      }
    } catch (error) {
      this.#reject(name, error);
    }
  }

  /** What these layers wait with counts from now on. @throws Error, and nothing changed. */
  #take(layers: readonly Layer[]): void {
    const taken = new Set(layers);
    const next = checked(this.#named((layer) => (taken.has(layer) ? layer.waiting : undefined)));
    const { document, atRestart } = keepCold(this.#started ?? next, next);
    this.parts.refuse(document);
    for (const layer of layers) {
      layer.fields = layer.waiting ?? layer.fields;
      layer.waiting = undefined;
    }
    const before = this.#document;
    if (atRestart.length > 0)
      this.parts.log.warn(
        { keys: atRestart },
        "changed keys of the document take effect at the next start only",
      );
    if (Bun.deepEquals(before, document)) return;
    this.#document = document;
    this.parts.log.info({ keys: changedSections(before, document) }, "a changed document is in effect");
    this.#warn();
    for (const listener of this.#listeners) listener(document);
  }

  #named(waiting: (layer: Layer) => Fields | undefined = () => undefined) {
    return this.#layers.map((layer) => ({
      name: layer.provider.name,
      fields: waiting(layer) ?? layer.fields,
    }));
  }

  #reject(name: string, error: unknown): void {
    this.parts.rejected();
    this.parts.log.error(
      { from: name, problem: error instanceof Error ? error.message : String(error) },
      "a changed document is not usable; the one that counted before stays",
    );
  }

  #warn(): void {
    for (const sentence of [...this.parts.warnings(this.#document), ...notServed(this.#document)])
      this.#once(sentence);
  }

  #once(sentence: string): void {
    if (this.#warned.has(sentence) || this.#warned.size >= MAX_SENTENCES) return;
    this.#warned.add(sentence);
    this.parts.log.warn(sentence);
  }
}

/** Sentences name keys, which a document may make up. */
const MAX_SENTENCES = 200;

const changedSections = (before: RpcDocument, after: RpcDocument): string[] =>
  (Object.keys(after) as (keyof RpcDocument)[]).filter((key) => !Bun.deepEquals(before[key], after[key]));
