// roost.yaml: how settings may be written in it, and that every mistake is named with its line.
import { expect, test } from "bun:test";
import { parseConfig, parseConfigFile, UsageError } from "../../test/support/config.ts";

const read = (content: string) => parseConfigFile(content, "roost.yaml");

test("flat, nested and snake_case keys are the same settings", () => {
  for (const content of ["tlsCert: c\ntlsKey: k", "tls:\n  cert: c\n  key: k", "tls_cert: c\ntls_key: k"])
    expect(parseConfig(read(content))).toMatchObject({ tlsCert: "c", tlsKey: "k" });
});

test("values are what YAML says they are", () => {
  const config = parseConfig(
    read(
      [
        "port: 4000 # a comment",
        "rateLimits: off",
        "clientLogs: false",
        "trustedProxies: [10.0.0.0/8, 127.0.0.1]",
        "githubAppId: 12345678901234567890",
        "server: { read_timeout: 30s }",
        "topics:",
        "  - name: nodes",
        "    schema: { type: object }",
      ].join("\n"),
    ),
  );
  expect(config).toMatchObject({
    port: 4000,
    rateLimits: false,
    happyClientLogs: false,
    trustedProxies: ["10.0.0.0/8", "127.0.0.1"],
    happyGithubAppId: "12345678901234567890",
    framesServerReadTimeout: 30_000,
    topics: [{ name: "nodes", schema: { type: "object" } }],
  });
});

test("the frames hub's own configuration is understood, its old names included", () => {
  const config = parseConfig(
    read("server:\n  addr: ':8080'\n  hub:\n    ws_path: /socket\ncluster:\n  etcd:\n    key_prefix: /x\n"),
  );
  expect(config).toMatchObject({ port: 8080, framesServerWsPath: "/socket", clusterEtcdKeyPrefix: "/x" });
});

test("a setting that is also the beginning of others can be either", () => {
  expect(parseConfig(read("topics:\n  enabled: true"))).toMatchObject({ topicsEnabled: true, topics: [] });
});

test.each(["", "# nothing\n", "---\n"])("an empty file %j sets nothing", (content) => {
  expect(read(content)).toEqual({});
});

test.each([
  ["port: 1\nprot: 2", "roost.yaml, line 2: unknown setting prot. Did you mean port?"],
  ["tls:\n  crt: x", "roost.yaml, line 2: unknown setting tls.crt. Did you mean tlsCert?"],
  ["port: 1\nport: 2", "roost.yaml, line 2: Map keys must be unique."],
  [
    "tlsCert: a\ntls:\n  cert: b",
    "roost.yaml, line 3: tls.cert was given before, as tlsCert (roost.yaml, line 1). Keep one of the two.",
  ],
  ["host: x\nport:", "roost.yaml, line 2: port has no value. Give it one, or remove the line."],
  ["config: x", "roost.yaml, line 1: a file cannot name the configuration file."],
  ["- port", 'roost.yaml is not usable: it must consist of lines such as "port: 3005".'],
  ["port: 1\n\thost: x", "roost.yaml, line 2: Tabs are not allowed as indentation."],
  ["port: 1\n---\nport: 2", "roost.yaml, line 2: a second document begins here, and there can be only one."],
  ["topics: &a\n  - *a", "roost.yaml, line 1: topics contains itself."],
])("%j is refused", (content, message) => {
  expect(() => read(content)).toThrow(new UsageError(message));
});

test("a value that is not usable is named with its line, a secret without its text", () => {
  expect(() => parseConfig(read("host: x\nport: high"))).toThrow(
    'port (roost.yaml, line 2) "high" is not usable: it must be a whole number from 0 to 65535.',
  );
  expect(() => parseConfig(read("masterSecret: [hush]"))).toThrow(
    new UsageError("masterSecret (roost.yaml, line 1) is not usable: it must be text."),
  );
});
