// The settings of the whole executable for tests, as functions of their own.
import { parseConfigFile as parseFile } from "../../src/config/config-file.ts";
import type { RawSettings } from "../../src/config/raw.ts";
import type { Setting } from "../../src/config/setting.ts";
import { type Config, program } from "../../src/program.ts";

export { flagName, variableName } from "../../src/config/setting.ts";
export { nearest, UsageError } from "../../src/config/usage.ts";
export type { Config, RawSettings };

/** Every setting by its name. @throws Error for one that there is not. */
export const settings = new Proxy(program.catalogue.settings, {
  get: (all, name: string) => {
    const found = all[name];
    if (found === undefined) throw new Error(`there is no setting ${name}`);
    return found;
  },
}) as Readonly<Record<string, Setting>> & Readonly<Record<keyof Config, Setting>>;
export const catalogue = program.catalogue;
export const readFlags = (argv: readonly string[]) => program.readFlags(argv);
export const readEnvironment = (variables: Record<string, string | undefined>) =>
  program.readEnvironment(variables);
export const parseConfigFile = (content: string, path: string) => parseFile(program.catalogue, content, path);
export const parseConfig = (...sources: RawSettings[]): Config => program.parse(...sources).config;
export const loadConfig = (argv: readonly string[], environment?: Record<string, string | undefined>) =>
  program.load(argv, environment);
