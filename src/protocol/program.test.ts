// One executable's protocols and settings: what two protocols cannot both have is refused at the start, with both named.
import { expect, test } from "bun:test";
import { catalogueOf } from "../config/catalogue.ts";
import { setting } from "../config/setting.ts";
import { flag, text } from "../config/values.ts";
import { OWN } from "../storage/identity.ts";
import type { HouseConfig } from "./house-settings.ts";
import type { ProtocolManifest } from "./manifest.ts";
import { Program } from "./program.ts";

const database = (name: string) => ({
  name,
  identity: OWN,
  migrations: async () => [],
  highWater: [],
});
const protocol = (name: string, more: Partial<ProtocolManifest> = {}): ProtocolManifest => ({
  name,
  settings: {},
  isOn: () => true,
  databases: [],
  open: () => Promise.reject(new Error("not opened here")),
  ...more,
});
const words = { inn: setting(text().optional(), "a word") };
const command = async () => ({ about: "", run: async () => 0 });

test.each<[string, Partial<ProtocolManifest>, string]>([
  ["setting", { settings: words }, 'Both protocol a and protocol b have the setting "inn".'],
  ["database", { databases: [database("inn")] }, 'Both protocol a and protocol b have the database "inn".'],
  ["command", { commands: { inn: command } }, 'Both protocol a and protocol b have the command "inn".'],
])("two protocols with one %s are refused", (_, more, sentence) => {
  expect(() => new Program([protocol("a", more), protocol("b", more)])).toThrow(sentence);
});

test("a protocol cannot have a setting of the house, nor the name of another", () => {
  const port = { port: setting(text().optional(), "") };
  expect(() => new Program([protocol("a", { settings: port })])).toThrow(
    'Both the house and protocol a have the setting "port".',
  );
  expect(() => new Program([protocol("a"), protocol("a")])).toThrow('have the name "a"');
});

test("an earlier name of a setting is nobody else's name", () => {
  const old = { new: setting(text().optional(), "", { was: ["inn"] }) };
  expect(() => catalogueOf({ settings: { ...words, ...old } })).toThrow('answer to the name "inn"');
  expect(() => catalogueOf({ settings: { ...old, newer: setting(text(), "", { was: ["inn"] }) } })).toThrow(
    'answer to the name "inn"',
  );
  expect(() => catalogueOf({ settings: {}, variables: [{ gone: ["X"] }] })).toThrow("no setting");
});

test("those that are on come in the order of the list, and what one settles holds for all", () => {
  const settings = { innOpen: setting(flag().default(false), "whether it is open") };
  const isOn = (config: HouseConfig) => (config as HouseConfig & { innOpen: boolean }).innOpen;
  const program = new Program([
    protocol("z", { settings, isOn }),
    protocol("a", {
      settle: (_, given) =>
        given.innOpen === undefined ? [] : [{ name: "port", value: 9, source: "the inn" }],
    }),
  ]);
  expect(program.on(program.parse().config).map(({ name }) => name)).toEqual(["a"]);
  const { config, origins } = program.parse(program.readFlags(["--inn-open"]));
  expect(program.on(config).map(({ name }) => name)).toEqual(["z", "a"]);
  expect([config.port, origins]).toEqual([9, { port: "the inn" }]);
  expect(program.named("z").name).toBe("z");
  expect(() => program.named("y")).toThrow("no protocol y");
});
