// roost.yaml -> raw settings. Keys may be nested, in camelCase or snake_case: `tls: {cert: ...}` and `tlsCert: ...` are one setting,
// and so are the keys of an original's own file. Every complaint names the file and the line.
import { readFileSync } from "node:fs";
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  parseDocument,
  type YAMLMap,
  type YAMLParseError,
} from "yaml";
import type { Catalogue } from "./catalogue.ts";
import { nearest, UsageError } from "./env.ts";
import type { RawSettings, RawValue } from "./raw.ts";

/** @throws UsageError when it cannot be read, is no YAML, or has a key that is no setting. */
export function readConfigFile(catalogue: Catalogue, path: string): RawSettings {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    throw new UsageError(`The configuration file ${path} ${missing ? "is not there" : "cannot be read"}.`);
  }
  return parseConfigFile(catalogue, content, path);
}

/** As `readConfigFile`; the path is only for the person. */
export function parseConfigFile(catalogue: Catalogue, content: string, path: string): RawSettings {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => `${path}, line ${lines.linePos(offset).line}`;
  const [error] = document.errors;
  if (error !== undefined) throw new UsageError(`${place(error.pos[0])}: ${problem(error)}.`);
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return {};
  if (!isMap(contents))
    throw new UsageError(`${path} is not usable: it must consist of lines such as "port: 3005".`);
  const raw: Record<string, RawValue> = {};
  collect(contents, [], { document, place, raw, names: new Names(catalogue) });
  return raw;
}

const problem = ({ code, message }: YAMLParseError) =>
  code === "MULTIPLE_DOCS" ? "a second document begins here, and there can be only one" : message;

interface Reading {
  readonly document: Document;
  readonly place: (offset: number) => string;
  readonly raw: Record<string, RawValue>;
  readonly names: Names;
}

function collect(map: YAMLMap, above: readonly string[], reading: Reading): void {
  const { document, place, raw, names } = reading;
  for (const { key, value } of map.items) {
    const at = place((isNode(key) ? key.range?.[0] : undefined) ?? 0);
    const keys = [...above, String(isScalar(key) ? key.value : key)];
    const written = keys.join(".");
    const name = names.settingAt(keys);
    if (
      isMap(value) &&
      names.isGroup(keys) &&
      !(name !== undefined && names.takes(name, value.toJS(document)))
    ) {
      collect(value, keys, reading);
      continue;
    }
    if (name === undefined)
      throw new UsageError(
        `${at}: unknown setting ${written}. Did you mean ${nearest(joined(keys), names.listed)}?`,
      );
    if (name === "config") throw new UsageError(`${at}: a file cannot name the configuration file.`);
    const before = raw[name];
    // A key's place in later versions of an original; where both are given the first version's place wins.
    if (before !== undefined && names.isLaterPlace(written)) continue;
    if (before !== undefined && !names.isLaterPlace(before.source))
      throw new UsageError(`${at}: ${written} was given before, as ${before.source}. Keep one of the two.`);
    const plain: unknown = isNode(value) ? value.toJS(document) : value;
    if (isCyclic(plain)) throw new UsageError(`${at}: ${written} contains itself.`);
    if (plain === null || plain === undefined)
      throw new UsageError(`${at}: ${written} has no value. Give it one, or remove the line.`);
    const digits = isScalar(value) && typeof plain === "number" ? value.source : undefined;
    raw[name] = { value: names.asText(name, digits ?? plain), source: `${written} (${at})` };
  }
}

function isCyclic(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return false;
  } catch {
    return true;
  }
}

/** `["server", "hub", "ws_path"]` -> `SERVER_HUB_WS_PATH`: keys as the variables of an original write them behind their prefix. */
const shouted = (keys: readonly string[]) =>
  keys.map((key) => key.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase()).join("_");

/** `["tls", "cert"]` -> `tlsCert`; `["data_dir"]` -> `dataDir`. */
const joined = (keys: readonly string[]) =>
  keys.join("_").replace(/[_-]+(.)/g, (_, letter: string) => letter.toUpperCase());

/** Which setting a key of the file means. */
class Names {
  readonly listed: readonly string[];
  /** Of today, and of earlier releases. */
  readonly #known: ReadonlyMap<string, string>;
  readonly #originals: ReadonlyMap<string, string>;

  constructor(private readonly catalogue: Catalogue) {
    const { settings, renamed, originals } = catalogue;
    this.listed = Object.keys(settings);
    this.#known = new Map([...renamed, ...this.listed.map((name) => [name, name] as const)]);
    this.#originals = new Map(
      Object.entries(settings).flatMap(([name, { legacy = [] }]) =>
        legacy.flatMap((variable) =>
          originals
            .filter(({ prefix }) => variable.startsWith(prefix))
            .map(({ prefix }) => [variable.slice(prefix.length), name] as const),
        ),
      ),
    );
  }

  isLaterPlace(written: string): boolean {
    return this.catalogue.originals.some(
      ({ laterPlace }) => laterPlace !== undefined && written.startsWith(laterPlace),
    );
  }

  settingAt(keys: readonly string[]): string | undefined {
    return this.#known.get(joined(keys)) ?? this.#originals.get(shouted(keys));
  }

  isGroup(keys: readonly string[]): boolean {
    const group = joined(keys);
    return (
      [...this.#known.keys()].some(
        (name) => name.startsWith(group) && /^[A-Z]/.test(name.slice(group.length)),
      ) || [...this.#originals.keys()].some((key) => key.startsWith(`${shouted(keys)}_`))
    );
  }

  /** What a flag would say, but a switch, a list or a structure as such: a number's own digits, so that ids keep all of theirs. */
  asText(name: string, value: unknown): unknown {
    if (typeof value === "object" || (typeof value === "boolean" && this.takes(name, value))) return value;
    return String(value);
  }

  /** Whether the setting wants such a value as it is, and does not merely turn it into another. */
  takes(name: string, value: unknown): boolean {
    const parsed = this.catalogue.settings[name]?.schema.safeParse(value);
    return parsed?.success === true && (typeof value !== "boolean" || parsed.data === value);
  }
}
