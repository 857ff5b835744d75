// Flags and variables: how they are written, and that a misspelt one is an error with the nearest known name.
import { expect, test } from "bun:test";
import { nearest, readEnvironment, readFlags, UsageError } from "../../test/support/config.ts";

test.each([
  [["--port", "4000"], { port: "4000" }],
  [["--port=4000"], { port: "4000" }],
  [["--data-dir=/a=b"], { dataDir: "/a=b" }],
  [["--rate-limits", "off"], { rateLimits: "off" }],
  [["--rate-limits"], { rateLimits: true }],
  [["--client-logs", "--port", "1"], { happyClientLogs: true, port: "1" }],
  [["--port", "1", "--port", "2"], { port: "2" }],
])("%j", (argv, expected) => {
  const read = readFlags(argv);
  expect(Object.fromEntries(Object.entries(read).map(([name, raw]) => [name, raw?.value]))).toEqual(expected);
});

test.each([
  [["--prot", "1"], "Unknown setting --prot. Did you mean --port?"],
  [["--datadir", "x"], "Unknown setting --datadir. Did you mean --data-dir?"],
  [["--port"], '--port needs a value, for example "--port 3005".'],
  [["stray"], 'Unexpected word "stray". Settings start with "--".'],
])("%j is refused", (argv, message) => {
  expect(() => readFlags(argv)).toThrow(new UsageError(message));
});

test("ROOST_ variables win over the originals' names; an empty one counts as unset", () => {
  const read = readEnvironment({ ROOST_PORT: "1", PORT: "2", HOST: "h", ROOST_HOST: "", UNRELATED: "x" });
  expect(read).toEqual({
    port: { value: "1", source: "ROOST_PORT" },
    host: { value: "h", source: "HOST" },
  });
});

test("a ROOST_ variable that is no setting is refused with the nearest one", () => {
  expect(() => readEnvironment({ ROOST_DATADIR: "x" })).toThrow(
    new UsageError("Unknown setting ROOST_DATADIR in the environment. Did you mean ROOST_DATA_DIR?"),
  );
});

test("what Kubernetes sets for a service named roost is no setting", () => {
  const links = {
    ROOST_PORT: "tcp://10.0.0.1:3005",
    ROOST_PORT_3005_TCP: "tcp://10.0.0.1:3005",
    ROOST_PORT_3005_TCP_ADDR: "10.0.0.1",
    ROOST_SERVICE_HOST: "10.0.0.1",
    ROOST_SERVICE_PORT: "3005",
    ROOST_SERVICE_PORT_HTTP: "3005",
    ROOST_WEB_PORT: "tcp://10.0.0.2:80",
  };
  expect(readEnvironment(links)).toEqual({});
});

test("the nearest word is the one with the fewest edits", () => {
  expect(nearest("loglevel", ["logLevel", "port", "level"])).toBe("logLevel");
});
