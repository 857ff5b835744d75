// Step one of three: raw strings as people gave them, with where each came from. No parsing, no defaults.
import type { Catalogue } from "./catalogue.ts";
import type { RawSettings, RawValue } from "./raw.ts";
import { flagName, variableName } from "./setting.ts";
import { nearest, UsageError } from "./usage.ts";

export { nearest, UsageError };

/** Variables that steer this project's own tests, not a server. */
const FOR_TESTS = /^ROOST_(TEST_\w*|EXECUTABLE)$/;
/** What Kubernetes sets in every container beside a service named "roost", such as ROOST_PORT=tcp://10.0.0.1:3005. */
const SERVICE_LINK =
  /^ROOST_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$/;
const isServiceLink = (name: string, value: string) =>
  SERVICE_LINK.test(name) || (name.endsWith("PORT") && /^(tcp|udp):\/\//.test(value));

/**
 * Variables of the environment: ROOST_* wins over the originals' names, a name of today over an earlier one. An empty variable counts
 * as unset.
 * @throws UsageError for a ROOST_* variable that is no setting, with the nearest one that is.
 */
export function readEnvironment(
  { settings, renamed }: Catalogue,
  variables: Record<string, string | undefined>,
): RawSettings {
  const raw: Record<string, RawValue> = {};
  const listed = Object.keys(settings).map(variableName);
  const known = new Set([...listed, ...[...renamed.keys()].map(variableName)]);
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || (name.startsWith("ROOST_") && isServiceLink(name, value))) continue;
    environment[name] = value;
    if (name.startsWith("ROOST_") && !known.has(name) && !FOR_TESTS.test(name))
      throw new UsageError(
        `Unknown setting ${name} in the environment. Did you mean ${nearest(name, listed)}?`,
      );
  }
  for (const [name, { was = [], legacy = [] }] of Object.entries(settings)) {
    for (const variable of [...[name, ...was].map(variableName), ...legacy]) {
      const value = environment[variable];
      if (value === undefined || value === "") continue;
      raw[name] = { value, source: variable };
      break;
    }
  }
  return raw;
}

/** Variables that others go by too, where what was `given` lets them count; by the name of their setting. */
export function readShared(
  { settings }: Catalogue,
  variables: Record<string, string | undefined>,
  given: RawSettings,
): RawSettings {
  const raw: Record<string, RawValue> = {};
  for (const [name, variable] of sharedVariables(settings, variables))
    if (given[name] === undefined && given[settings[name]?.shared?.onlyWith ?? ""] !== undefined)
      raw[name] ??= { value: variables[variable] ?? "", source: variable };
  return raw;
}

/** Those that are set and were not followed, as sentences. */
export function unfollowedVariables(
  { settings }: Pick<Catalogue, "settings">,
  variables: Record<string, string | undefined>,
  given: RawSettings,
): string[] {
  return sharedVariables(settings, variables).flatMap(([name, variable]) =>
    given[name] === undefined
      ? [
          `${variable} is set and not followed: it may be meant for other programs. To use what it names, say ${flagName(name)}.`,
        ]
      : [],
  );
}

const sharedVariables = (settings: Catalogue["settings"], variables: Record<string, string | undefined>) =>
  Object.entries(settings).flatMap(([name, { shared }]) =>
    (shared?.variables ?? [])
      .filter((variable) => variables[variable] !== undefined && variables[variable] !== "")
      .map((variable) => [name, variable] as const),
  );

/**
 * Flags of the form `--name value`, `--name=value` and, for switches, `--name`.
 * @throws UsageError for an unknown flag (with the nearest known one), a missing value or a stray word.
 */
export function readFlags(catalogue: Catalogue, argv: readonly string[]): RawSettings {
  const { settings, renamed } = catalogue;
  const raw: Record<string, RawValue> = {};
  const listed = new Map(Object.keys(settings).map((name) => [flagName(name), name]));
  const earlier = new Map([...renamed].map(([old, name]) => [flagName(old), name]));
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    const [flag, inline] = splitOnce(word, "=");
    const name = listed.get(flag) ?? earlier.get(flag);
    if (name === undefined) throw unknown(word, flag, [...listed.keys()]);
    const next = argv[index + 1];
    if (inline !== undefined) raw[name] = { value: inline, source: flag };
    else if (next !== undefined && !next.startsWith("--")) {
      raw[name] = { value: next, source: flag };
      index++;
    } else if (isSwitch(catalogue, name)) raw[name] = { value: true, source: flag };
    else throw new UsageError(`${flag} needs a value, for example "${flag} ${example(name)}".`);
  }
  return raw;
}

const isSwitch = ({ settings }: Catalogue, name: string) =>
  settings[name]?.schema.safeParse(true).data === true;

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function unknown(word: string, flag: string, known: string[]): UsageError {
  if (!word.startsWith("-")) return new UsageError(`Unexpected word "${word}". Settings start with "--".`);
  return new UsageError(`Unknown setting ${flag}. Did you mean ${nearest(flag, known)}?`);
}

function example(name: string): string {
  return name === "port" ? "3005" : name === "dataDir" ? "/var/lib/roost" : "VALUE";
}
