// A configuration of the last release starts unchanged: names that settings had there go on working in flags, variables and files, and
// are not listed.
import { expect, test } from "bun:test";
import { flagName, variableName } from "../../src/config/setting.ts";
import { program } from "../../src/program.ts";
import { parseConfig, parseConfigFile, readEnvironment, readFlags } from "../support/config.ts";

const { settings, renamed } = program.catalogue;

/** A value that the setting takes and that is not its default. */
function sample(name: string): string {
  const schema = settings[name]?.schema;
  const usual = Bun.inspect(schema?.safeParse(undefined).data);
  const found = [
    "true",
    "false",
    "7",
    "30000",
    "90s",
    "disconnect",
    "closed",
    "/x/y",
    "1.2.3.4:9",
    "https://x.example",
    "word",
  ].find((value) => {
    const parsed = schema?.safeParse(value);
    return parsed?.success === true && Bun.inspect(parsed.data) !== usual;
  });
  if (found === undefined) throw new Error(`no sample fits ${name}`);
  return found;
}

test("the names of the last release are known", () => {
  expect(renamed.size).toBeGreaterThan(60);
  for (const old of ["registration", "adminPassword", "authEnabled", "serverReadTimeout", "staticDir"])
    expect([...renamed.keys()]).toContain(old);
});

test.each([...renamed])("%s is %s, as a flag, a variable and a key", (old, name) => {
  const value = sample(name);
  const expected = parseConfig({ [name]: { value, source: "today" } });
  expect(parseConfig(readFlags([`${flagName(old)}=${value}`]))).toEqual(expected);
  expect(parseConfig(readEnvironment({ [variableName(old)]: value }))).toEqual(expected);
  expect(parseConfig(parseConfigFile(`${old}: ${value}`, "roost.yaml"))).toEqual(expected);
});

test("a name of today wins over an earlier one in the environment", () => {
  const both = readEnvironment({ ROOST_REGISTRATION: "open", ROOST_HAPPY_REGISTRATION: "closed" });
  expect(both).toEqual({ happyRegistration: { value: "closed", source: "ROOST_HAPPY_REGISTRATION" } });
});

test("a whole file of the last release means what it meant", () => {
  const before = `
port: 4000
registration: open
retentionSessionsDays: 90
tls: {cert: c.pem, key: k.pem}
github: {clientId: a, clientSecret: b}
topics: [{name: nodes, schema: true}]
adminUsername: ada
realtime: {retentionDays: 3, allowedOrigins: ["https://a.example"]}
hub: {max_clients: 5}
server: {ws_path: /hub, hub: {read_timeout: 9s}}
auth: {enabled: true, secret_key: s}
cluster: {etcd: {key_prefix: /x}}
`;
  expect(parseConfig(parseConfigFile(before, "roost.yaml"))).toMatchObject({
    port: 4000,
    happyRegistration: "open",
    happyRetentionSessionsDays: 90,
    tlsCert: "c.pem",
    happyGithubClientId: "a",
    topics: [{ name: "nodes", schema: true }],
    topicsAdminUsername: "ada",
    topicsRetentionDays: 3,
    topicsAllowedOrigins: ["https://a.example"],
    framesHubMaxClients: 5,
    framesServerWsPath: "/hub",
    framesServerReadTimeout: 9_000,
    framesAuthEnabled: true,
    framesAuthSecretKey: "s",
    clusterEtcdKeyPrefix: "/x",
  });
});

test("a file of today is grouped by who the settings belong to", () => {
  const today = `
happy: {registration: open, retention: {sessionsDays: 90}, github: {clientId: a}}
topics: {enabled: true, adminUsername: ada, retentionDays: 3}
frames: {enabled: true, auth: {issuer: me}, hub: {maxClients: 5}}
cluster: {busTimeout: 7s}
`;
  expect(parseConfig(parseConfigFile(today, "roost.yaml"))).toMatchObject({
    happyRegistration: "open",
    happyRetentionSessionsDays: 90,
    happyGithubClientId: "a",
    topicsEnabled: true,
    topicsAdminUsername: "ada",
    topicsRetentionDays: 3,
    framesEnabled: true,
    framesAuthIssuer: "me",
    framesHubMaxClients: 5,
    clusterBusTimeout: 7_000,
  });
});
