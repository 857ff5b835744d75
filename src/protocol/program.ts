// One executable: its protocols, and the settings of the house and of all of them together. Commands get it handed in, so that a test
// can build an executable with one protocol more.
import { type Catalogue, catalogueOf } from "../config/catalogue.ts";
import { type ParsedConfig, parseSettings } from "../config/config.ts";
import { readEnvironment, readFlags } from "../config/env.ts";
import { type Loaded, loadSettings } from "../config/load.ts";
import type { RawSettings } from "../config/raw.ts";
import { LOG_AREAS, refuseUnknownAreas } from "../observability/settings.ts";
import { refuseHalfTls } from "../server/settings.ts";
import { type HouseConfig, houseSettings } from "./house-settings.ts";
import type { ProtocolManifest } from "./manifest.ts";

export interface LoadedConfig<C = HouseConfig> extends Omit<Loaded, "config"> {
  readonly config: C;
}

export class Program<C extends HouseConfig = HouseConfig> {
  readonly catalogue: Catalogue;

  /** @throws Error for protocols that cannot live together: two of one name, two settings or databases of one name. */
  constructor(readonly protocols: readonly ProtocolManifest[]) {
    const names = new Map<string, string>();
    const claim = (what: string, owner: string) => {
      const before = names.get(what);
      if (before !== undefined) throw new Error(`Both ${before} and ${owner} have the ${what}.`);
      names.set(what, owner);
    };
    for (const name of Object.keys(houseSettings)) claim(`setting "${name}"`, "the house");
    for (const { name, settings, databases, commands = {} } of protocols) {
      claim(`name "${name}"`, `protocol ${name}`);
      for (const setting of Object.keys(settings)) claim(`setting "${setting}"`, `protocol ${name}`);
      for (const { name: database, home } of databases) {
        claim(`database "${database}"`, `protocol ${name}`);
        if (home !== undefined) claim(`folder "${home.name}"`, `protocol ${name}`);
      }
      for (const command of Object.keys(commands)) claim(`command "${command}"`, `protocol ${name}`);
    }
    this.catalogue = catalogueOf({
      settings: Object.assign({}, houseSettings, ...protocols.map(({ settings }) => settings)),
      settle: [
        refuseHalfTls,
        refuseUnknownAreas([...LOG_AREAS, ...protocols.map(({ name }) => name)]),
        ...protocols.flatMap(({ settle }) => settle ?? []),
      ],
      variables: protocols.map(({ variables }) => variables ?? {}),
      unused: Object.assign({}, ...protocols.map(({ unusedVariables }) => unusedVariables)),
      originals: protocols.flatMap(({ originalFile }) => originalFile ?? []),
    });
  }

  /** @throws UsageError for a word that is no setting, or lacks its value. */
  readFlags(argv: readonly string[]): RawSettings {
    return readFlags(this.catalogue, argv);
  }

  /** @throws UsageError for a ROOST_* variable that is no setting. */
  readEnvironment(variables: Record<string, string | undefined>): RawSettings {
    return readEnvironment(this.catalogue, variables);
  }

  /** First source wins. @throws UsageError for a value that is not usable. */
  parse(...sources: RawSettings[]): Omit<ParsedConfig, "config"> & { readonly config: C } {
    const { config, origins } = parseSettings(this.catalogue, ...sources);
    // Every value went through its setting's schema, and C is what those schemas give.
    return { config: config as C, origins };
  }

  /** Flags, then the environment, then roost.yaml, then defaults. @throws UsageError */
  async load(
    argv: readonly string[],
    environment?: Record<string, string | undefined>,
  ): Promise<LoadedConfig<C>> {
    const loaded = await loadSettings(this.catalogue, argv, environment);
    return { ...loaded, config: loaded.config as C };
  }

  /** @throws Error for a name that no protocol has. */
  named(name: string): ProtocolManifest<C> {
    const found = this.protocols.find((protocol) => protocol.name === name);
    if (found === undefined) throw new Error(`There is no protocol ${name}.`);
    return found;
  }

  /** Those that the configuration switches on, in their order. */
  on(config: C): ProtocolManifest[] {
    return this.protocols.filter((protocol) => protocol.isOn(config));
  }
}
