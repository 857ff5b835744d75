// All settings of one executable, with every name under which each may be given. The machinery of this folder works on a catalogue
// and lists nothing itself.
import type { RawSettings } from "./raw.ts";
import type { Settings } from "./setting.ts";

/** What follows from the settings that were given together, beyond their single values. */
export interface Settled {
  /** Of a setting. */
  readonly name: string;
  readonly value: unknown;
  /** Where the person gave it, when it was given under the name of another setting. */
  readonly source?: string;
}

/** @throws UsageError for settings that do not go together. */
export type Settle = (config: Readonly<Record<string, unknown>>, given: RawSettings) => readonly Settled[];

/** A server whose own configuration file has the same keys as its variables: such a file may be used as it is. */
export interface OriginalFile {
  /** Of its variables: `GOHUB_` for `GOHUB_SERVER_WS_PATH`, which is the key `server.ws_path`. */
  readonly prefix: string;
  /** Where its later versions have keys that the first had elsewhere, such as `server.hub.`; the first place wins. */
  readonly laterPlace?: string;
}

export interface Catalogue {
  readonly settings: Settings;
  readonly settle: Settle;
  /** Names of settings by the names that they had. */
  readonly renamed: ReadonlyMap<string, string>;
  /** Variables that mean something to the servers whose place this one takes, and nothing here, with what is done instead. */
  readonly unused: Readonly<Record<string, string>>;
  readonly originals: readonly OriginalFile[];
}

export interface CatalogueParts {
  readonly settings: Settings;
  readonly settle?: readonly Settle[];
  /** Further variables, by the name of the setting: a list of settings may name those of another list. */
  readonly variables?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly unused?: Readonly<Record<string, string>>;
  readonly originals?: readonly OriginalFile[];
}

/** @throws Error for two settings that answer to one name, or a variable of a setting that there is not. */
export function catalogueOf({
  settings,
  settle = [],
  variables = [],
  unused = {},
  originals = [],
}: CatalogueParts): Catalogue {
  const all: Record<string, Settings[string]> = { ...settings };
  for (const [name, more] of variables.flatMap((named) => Object.entries(named))) {
    const known = all[name];
    if (known === undefined) throw new Error(`There is no setting "${name}" for ${more.join(", ")}.`);
    all[name] = { ...known, legacy: [...(known.legacy ?? []), ...more] };
  }
  const renamed = new Map<string, string>();
  for (const [name, { was = [] }] of Object.entries(all))
    for (const old of was) {
      if (old in all || renamed.has(old)) throw new Error(`Two settings answer to the name "${old}".`);
      renamed.set(old, name);
    }
  return {
    settings: all,
    settle: (config, given) => settle.flatMap((one) => one(config, given)),
    renamed,
    unused,
    originals,
  };
}
