// roost.yaml -> raw settings. Keys may be nested, in camelCase or snake_case: `tls: {cert: ...}` and `tlsCert: ...` are one setting,
// and so are the frames hub's own keys. Every complaint names the file and the line.
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
import { nearest, type RawSettings, UsageError } from "./env.ts";
import type { Setting } from "./setting.ts";
import { type SettingName, settings } from "./settings.ts";

/** @throws UsageError when it cannot be read, is no YAML, or has a key that is no setting. */
export function readConfigFile(path: string): RawSettings {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    throw new UsageError(`The configuration file ${path} ${missing ? "is not there" : "cannot be read"}.`);
  }
  return parseConfigFile(content, path);
}

/** As `readConfigFile`; the path is only for the person. */
export function parseConfigFile(content: string, path: string): RawSettings {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => `${path}, line ${lines.linePos(offset).line}`;
  const [error] = document.errors;
  if (error !== undefined) throw new UsageError(`${place(error.pos[0])}: ${problem(error)}.`);
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return {};
  if (!isMap(contents))
    throw new UsageError(`${path} is not usable: it must consist of lines such as "port: 3005".`);
  const raw: RawSettings = {};
  collect(contents, [], { document, place, raw });
  return raw;
}

const problem = ({ code, message }: YAMLParseError) =>
  code === "MULTIPLE_DOCS" ? "a second document begins here, and there can be only one" : message;

interface Reading {
  readonly document: Document;
  readonly place: (offset: number) => string;
  readonly raw: RawSettings;
}

const NESTED_PLACE = "server.hub.";

function collect(map: YAMLMap, above: readonly string[], reading: Reading): void {
  const { document, place, raw } = reading;
  for (const { key, value } of map.items) {
    const at = place((isNode(key) ? key.range?.[0] : undefined) ?? 0);
    const keys = [...above, String(isScalar(key) ? key.value : key)];
    const written = keys.join(".");
    const name = settingAt(keys);
    if (isMap(value) && isGroup(keys) && !(name !== undefined && takes(name, value.toJS(document)))) {
      collect(value, keys, reading);
      continue;
    }
    if (name === undefined)
      throw new UsageError(
        `${at}: unknown setting ${written}. Did you mean ${nearest(joined(keys), names)}?`,
      );
    if (name === "config") throw new UsageError(`${at}: a file cannot name the configuration file.`);
    const before = raw[name];
    // A key's place in the hub's later versions; where both are given the first version's place wins (frames contract, section 15).
    if (before !== undefined && written.startsWith(NESTED_PLACE)) continue;
    if (before !== undefined && !before.source.startsWith(NESTED_PLACE))
      throw new UsageError(`${at}: ${written} was given before, as ${before.source}. Keep one of the two.`);
    const plain: unknown = isNode(value) ? value.toJS(document) : value;
    if (isCyclic(plain)) throw new UsageError(`${at}: ${written} contains itself.`);
    if (plain === null || plain === undefined)
      throw new UsageError(`${at}: ${written} has no value. Give it one, or remove the line.`);
    const digits = isScalar(value) && typeof plain === "number" ? value.source : undefined;
    raw[name] = { value: asText(name, digits ?? plain), source: `${written} (${at})` };
  }
}

/** What a flag would say, but a switch, a list or a structure as such: a number's own digits, so that ids keep all of theirs. */
function asText(name: SettingName, value: unknown): unknown {
  if (typeof value === "object" || (typeof value === "boolean" && takes(name, value))) return value;
  return String(value);
}

/** Whether the setting wants such a value as it is, and does not merely turn it into another. */
function takes(name: SettingName, value: unknown): boolean {
  const setting: Setting = settings[name];
  const parsed = setting.schema.safeParse(value);
  return parsed.success && (typeof value !== "boolean" || parsed.data === value);
}

function isCyclic(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return false;
  } catch {
    return true;
  }
}

const names = Object.keys(settings) as SettingName[];
/** `["server", "hub", "ws_path"]` -> `SERVER_HUB_WS_PATH`: the frames hub's keys under their own names. */
const shouted = (keys: readonly string[]) =>
  keys.map((key) => key.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase()).join("_");
const hubKeys = new Map(
  names.flatMap((name) => {
    const { legacy = [] }: Setting = settings[name];
    return legacy
      .filter((variable) => variable.startsWith("GOHUB_"))
      .map((variable) => [variable.slice("GOHUB_".length), name] as const);
  }),
);

/** `["tls", "cert"]` -> `tlsCert`; `["data_dir"]` -> `dataDir`. */
const joined = (keys: readonly string[]) =>
  keys.join("_").replace(/[_-]+(.)/g, (_, letter: string) => letter.toUpperCase());

const settingAt = (keys: readonly string[]): SettingName | undefined =>
  names.find((name) => name === joined(keys)) ?? hubKeys.get(shouted(keys));

const isGroup = (keys: readonly string[]): boolean =>
  names.some((name) => name.startsWith(joined(keys)) && /^[A-Z]/.test(name.slice(joined(keys).length))) ||
  [...hubKeys.keys()].some((key) => key.startsWith(`${shouted(keys)}_`));
