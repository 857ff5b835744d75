// When the frames hub is on, and whether it asks for tokens: what people give, in which words, decides.
import { describe, expect, test } from "bun:test";
import { parseConfig, parseConfigFile, readEnvironment, readFlags } from "../../test/support/config.ts";
import { framesOn } from "./switch.ts";

const ofEnvironment = (environment: Record<string, string>) => parseConfig(readEnvironment(environment));
const ofFlags = (...words: string[]) => parseConfig(readFlags(words));
const ofFile = (yaml: string) => parseConfig(parseConfigFile(yaml, "roost.yaml"));

/** `off`, or what it asks of strangers: `tokens`, `anonymous` (with tokens on) or `open`. */
function state(config: ReturnType<typeof parseConfig>): string {
  if (!framesOn(config)) return "off";
  if (config.framesAuthEnabled === false) return "open";
  return config.framesAuthAllowAnonymous === true ? "anonymous" : "tokens";
}

describe("by variables", () => {
  test.each<[Record<string, string>, string]>([
    [{}, "off"],
    [{ ROOST_FRAMES_ENABLED: "true" }, "tokens"],
    [{ ROOST_HUB_ENABLED: "true" }, "tokens"],
    [{ ROOST_FRAMES_ENABLED: "true", ROOST_AUTH_ENABLED: "false" }, "open"],
    [{ ROOST_FRAMES_ENABLED: "true", ROOST_AUTH_ALLOW_ANONYMOUS: "true" }, "anonymous"],
    [{ ROOST_FRAMES_ENABLED: "true", GOHUB_SERVER_WS_PATH: "/hub" }, "tokens"],
    [{ ROOST_FRAMES_ENABLED: "true", GOHUB_HUB_ENABLED: "true" }, "tokens"],
    [{ ROOST_SERVER_WS_PATH: "/hub" }, "tokens"],
    [{ ROOST_AUTH_SECRET_KEY: "s" }, "tokens"],
    [{ GOHUB_HUB_ENABLED: "true" }, "open"],
    [{ GOHUB_SERVER_WS_PATH: "/hub" }, "open"],
    [{ GOHUB_SERVER_ADDR: ":3005" }, "open"],
    [{ GOHUB_CLUSTER_ENABLED: "true" }, "open"],
    [{ GOHUB_LOG_LEVEL: "debug" }, "open"],
    [{ GOHUB_AUTH_ENABLED: "true", GOHUB_AUTH_SECRET_KEY: "s" }, "anonymous"],
    [{ GOHUB_AUTH_ENABLED: "true", GOHUB_AUTH_ALLOW_ANONYMOUS: "false" }, "tokens"],
    [{ GOHUB_SERVER_WS_PATH: "/hub", ROOST_AUTH_ENABLED: "true" }, "anonymous"],
    [{ ROOST_FRAMES_ENABLED: "false", GOHUB_HUB_ENABLED: "true" }, "off"],
    [{ ROOST_HUB_ENABLED: "false", GOHUB_SERVER_WS_PATH: "/hub" }, "off"],
    [{ GOHUB_HUB_ENABLED: "false", ROOST_FRAMES_ENABLED: "true" }, "off"],
    [{ GOHUB_HUB_ENABLED: "false", GOHUB_AUTH_SECRET_KEY: "s" }, "off"],
    // What other protocols use too is nobody's wish for a hub.
    [{ ROOST_CLUSTER_ENABLED: "true", ROOST_CLUSTER_ETCD_ENDPOINTS: "http://a:1" }, "off"],
    [{ ROOST_LOG_LEVEL: "debug", ROOST_SERVER_BUS_TIMEOUT: "2s" }, "off"],
    [{ ROOST_FRAMES_ORIGINS: "*", ROOST_FRAMES_MAX_QUEUED_BYTES: "1048576" }, "off"],
  ])("%p: %s", (environment, expected) => expect(state(ofEnvironment(environment))).toBe(expected));
});

describe("by flags", () => {
  test.each<[string[], string]>([
    [["--frames-enabled"], "tokens"],
    [["--hub-enabled", "true"], "tokens"],
    [["--hub-auto-create-rooms", "true"], "tokens"],
    [["--hub-enabled", "true", "--auth-enabled", "false"], "open"],
    [["--hub-enabled", "false", "--hub-auto-create-rooms", "true"], "off"],
  ])("%p: %s", (words, expected) => expect(state(ofFlags(...words))).toBe(expected));
});

describe("by a file", () => {
  test.each([
    ["frames:\n  enabled: true\n", "tokens"],
    ["framesEnabled: true\n", "tokens"],
    ["hubEnabled: true\n", "tokens"],
    ["serverWsPath: /hub\n", "tokens"],
    ["hub:\n  enabled: true\n", "open"],
    ["server:\n  addr: ':3005'\n", "open"],
    ["server:\n  hub:\n    read_timeout: 10s\n", "open"],
    ["auth:\n  enabled: true\n  secret_key: s\n", "anonymous"],
    ["auth:\n  enabled: true\n  secret_key: s\nframes:\n  enabled: true\n", "tokens"],
    ["auth:\n  enabled: true\n  secret_key: s\nframes:\n  enabled: false\n", "off"],
    ["log:\n  level: debug\ncluster:\n  enabled: true\n", "off"],
    ["frames:\n  origins: ['*']\n  max_queued_bytes: 1048576\n", "off"],
  ])("%p: %s", (yaml, expected) => expect(state(ofFile(yaml))).toBe(expected));
});

test("a flag beside the hub's own file changes a value, and not in whose words the hub was switched on", () => {
  const raw = {
    ...parseConfigFile("server:\n  addr: ':1'\n", "x"),
    ...readFlags(["--server-ws-path", "/hub"]),
  };
  expect(state(parseConfig(raw))).toBe("open");
});
